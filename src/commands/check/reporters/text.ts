import { visible } from '../../../base/visible.ts'
import type { Style } from '../../../conformance/src/style.ts'
import { sectionOf } from '../catalogue.ts'
import type { Finding, Status } from '../findings.ts'
import type { Report } from '../run.ts'
import { count } from '../../../base/words.ts'

const marks: Readonly<Record<Status, string>> = { ok: '✓', warning: '!', problem: '✗', 'not checked': '-' }
const ID_WIDTH = 26

const colourOf = (status: Status, style: Style) =>
  ({ ok: style.good, warning: style.warn, problem: style.bad, 'not checked': style.dim })[status]

/** One line for each finding as soon as it is found, with a heading at the start of each section. */
export class TextReporter {
  readonly #style: Style
  #section = ''

  constructor(style: Style) {
    this.#style = style
  }

  /** Whole lines with their line ends. */
  lines(finding: Finding): string {
    const section = sectionOf(finding.id)
    const heading = section === this.#section ? '' : `${this.#section === '' ? '' : '\n'}${this.#style.bold(section)}\n`
    this.#section = section
    return `${heading}${this.#line(finding)}\n`
  }

  summary({ counts, seconds }: Report): string {
    const { ok, warning, problem } = counts
    const all = `${count(problem, 'problem')}, ${count(warning, 'warning')}, ${ok} ok, ${counts['not checked']} not checked`
    const colour = problem > 0 ? this.#style.bad : warning > 0 ? this.#style.warn : this.#style.good
    return `\n${colour(this.#style.bold(all))}${this.#style.dim(` in ${seconds.toFixed(1)} s`)}\n`
  }

  #line({ id, status, subject, found, advice, command }: Finding): string {
    const colour = colourOf(status, this.#style)
    const about = subject === undefined ? '' : `${subject}: `
    const todo = [advice, command].filter((part) => part !== undefined).join(': ')
    const text = status === 'not checked' ? `${about}not checked: ${found}` : `${about}${found}`
    return `  ${colour(marks[status])} ${colour(id.padEnd(ID_WIDTH))} ${visible(text)}${todo === '' ? '' : ` -> ${visible(todo)}`}`
  }
}
