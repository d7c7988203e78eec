import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join, relative, resolve } from 'node:path'
import { OperatorError, systemCode } from '../../../adapters/contract/index.ts'
import { quoted } from '../../base/shell.ts'
import { putInto, secretAt } from '../../backends/init-files.ts'
import {
  ENV,
  type Attempt,
  type Choice,
  type Interview,
  type Question,
  type SecretPlace,
  type SecretQuestion,
} from '../../backends/interview.ts'
import type { References } from '../../settings/fields.ts'
import { rootsAlone } from '../check/as-user.ts'
import { print } from '../terminal.ts'
import { Unanswered, type Terminal } from './terminal.ts'

/** By the option's name, without dashes. */
export type Given = ReadonlyMap<string, string>

/** Finds what an earlier run has written for a question. */
export type Earlier = (question: Question) => string | undefined

const PRIVATE = 0o600

export const isRoot = (): boolean => process.geteuid?.() === 0

/** Answers from the options of the command line; what they leave open is asked at the terminal, if there is one. */
export class Answers implements Interview {
  readonly references: References
  /** Replaced as more is known of the earlier file. */
  earlier: Earlier = () => undefined
  readonly #given: Map<string, string>
  readonly #terminal: Terminal | undefined
  /** The answers of this session: proposed again where the whole of them did not work. */
  readonly #last = new Map<string, string>()
  readonly #noted = new Set<string>()
  /** How many questions were put to the terminal. */
  #asked = 0

  constructor(given: Given, terminal: Terminal | undefined, references: References) {
    this.#given = new Map(given)
    this.#terminal = terminal
    this.references = references
  }

  /** Whether somebody can be asked. */
  get isAsking(): boolean {
    return this.#terminal !== undefined
  }

  has(option: string): boolean {
    return this.#given.has(option)
  }

  async ask(question: Question, attempt: Attempt = () => undefined): Promise<string> {
    return (await this.#until(question, this.#fallbackOf(question), (answer) => answer, attempt)).answer
  }

  async askPath(question: Question, attempt: Attempt = () => undefined): Promise<string> {
    return (await this.openPath(question, attempt)).path
  }

  async openPath<Found>(question: Question, attempt: Attempt<string, Found>) {
    const fallback = this.#fallbackOf(question)
    const { answer, found } = await this.#until(question, fallback && this.#shown(fallback), fromHere, attempt)
    this.noteRootOnly(answer)
    return { path: this.written(answer), found }
  }

  async askSecret(
    { secret, asks, isMade = false, ...more }: SecretQuestion,
    attempt: Attempt<SecretPlace> = (place) => void secretAt(place, this.references),
  ): Promise<SecretPlace> {
    const [inFile, inVariable] = [`${secret}-file`, `${secret}-env`]
    if (this.has(inFile) && this.has(inVariable)) {
      throw new Unanswered('ANSWER_REFUSED', `--${inFile} and --${inVariable} are both given: one place is enough`)
    }
    const option = this.has(inVariable) ? inVariable : inFile
    const question = { option, asks: `${asks}; or ${ENV}NAME for a variable`, ...more }
    const fallback = this.#fallbackOf(question) ?? more.fallback
    const shown = fallback.startsWith(ENV) ? fallback : this.#shown(fallback)
    const read = (answer: string) => (answer.startsWith(ENV) ? answer : fromHere(answer))
    const proposed = placeOf(read(shown))
    const isThere = isMade || 'env' in proposed || existsSync(proposed.file)
    if (this.isAsking && !this.has(option) && !isThere) {
      print(`No secret is typed here. In another terminal: ${putInto(quoted(proposed.file))}`)
    }
    const { answer } = await this.#until(question, isThere || this.isAsking ? shown : undefined, read, (typed) =>
      attempt(placeOf(typed)),
    )
    const place = placeOf(answer)
    if ('env' in place) return place
    this.noteRootOnly(place.file)
    return { file: this.written(place.file) }
  }

  async choose(question: Question, choices: readonly Choice[]): Promise<string> {
    const [only] = choices.length === 1 ? choices : []
    const earlier = this.#fallbackOf(question)
    const isChoice = choices.some(({ value }) => value === earlier)
    const valueOf = (answer: string) =>
      this.isAsking && /^\d+$/.test(answer) ? (choices[Number(answer) - 1]?.value ?? answer) : answer
    if (!this.has(question.option) && this.isAsking) this.list(choices)
    const { answer } = await this.#until(question, isChoice ? earlier : only?.value, valueOf, (chosen) => {
      if (choices.some(({ value }) => value === chosen)) return
      const values = choices.map(({ value }) => value).join(', ')
      throw new OperatorError('ANSWER_REFUSED', `${chosen} is none of: ${values}`)
    })
    return answer
  }

  async confirm(prompt: string): Promise<boolean> {
    const answer = await this.#terminal?.question(`${prompt} [y/N]: `)
    return /^y(?:es)?$/i.test(answer ?? '')
  }

  list(choices: readonly Choice[]): void {
    const width = Math.max(...choices.map(({ value }) => value.length))
    for (const [index, { value, label }] of choices.entries()) {
      print(`  ${String(index + 1).padStart(2)}  ${value.padEnd(width)}  ${label}`)
    }
  }

  tell(found: string): void {
    print(`   ${found}`)
  }

  /** Says, once, where root alone can read an absolute path: a gateway that runs as another user could not. */
  noteRootOnly(path: string): void {
    const note = isRoot() ? rootsAlone(path) : undefined
    if (note === undefined || this.#noted.has(note)) return
    this.#noted.add(note)
    this.tell(`note: ${note}`)
  }

  async makeSecret(path: string): Promise<void> {
    await this.#write(path, randomBytes(24).toString('base64url') + '\n', PRIVATE)
  }

  /** Never in the place of a file that is there. */
  async make(path: string, content: string, mode: number): Promise<void> {
    await this.#write(path, content, mode)
    this.noteRootOnly(path)
  }

  async #write(path: string, content: string, mode: number): Promise<void> {
    await writeFile(path, content, { mode, flag: 'wx' }).catch((error: unknown) => {
      const code = systemCode(error)
      const remedy = code === 'EEXIST' ? ': it is there, and no file is replaced; move it away to have it made' : ''
      throw new OperatorError('FILE_UNWRITABLE', `${path} cannot be made (${code})${remedy}`)
    })
  }

  /** An absolute path as it stands in the configuration: relative to its directory where it is inside. */
  written(path: string): string {
    const inside = relative(this.references.directory, path)
    return inside === '' || inside.startsWith('..') || isAbsolute(inside) ? path : inside
  }

  #fallbackOf(question: Question): string | undefined {
    return this.#last.get(question.option) ?? this.earlier(question) ?? question.fallback
  }

  /** A path of the configuration as it is named from where the operator stands. */
  #shown(path: string): string {
    const absolute = resolve(this.references.directory, path)
    const here = relative(process.cwd(), absolute)
    return here === '' || here.startsWith('..') ? absolute : here
  }

  async #until<Found>(
    question: Question,
    fallback: string | undefined,
    read: (answer: string) => string,
    attempt: Attempt<string, Found>,
  ): Promise<{ readonly answer: string; readonly found: Found }> {
    let proposed = fallback
    for (;;) {
      const typed = await this.#answer(question, proposed)
      const answer = read(typed)
      const before = this.#asked
      try {
        const found = await attempt(answer)
        this.#last.set(question.option, answer)
        return { answer, found }
      } catch (error) {
        if (!(error instanceof OperatorError) || error instanceof Unanswered) throw error
        if (!this.isAsking || question.optionOnly) {
          throw new Unanswered(error.code, `--${question.option}: ${error.message}`)
        }
        this.tell(`no: ${error.message}`)
        // The answer to what followed from it may be the wrong one.
        if (this.#asked > before) proposed = typed
      }
    }
  }

  async #answer({ option, asks, optionOnly }: Question, fallback: string | undefined): Promise<string> {
    const given = this.#given.get(option)
    // If it is refused, the person is asked.
    if (this.isAsking && !optionOnly) this.#given.delete(option)
    if (given !== undefined) return given
    if (this.#terminal === undefined || optionOnly) {
      if (fallback !== undefined) return fallback
      throw new Unanswered('ANSWER_MISSING', `--${option} is missing: ${asks}`)
    }
    const shown = fallback === undefined ? '' : ` [${fallback || 'none'}]`
    const prompt = `${asks.charAt(0).toUpperCase()}${asks.slice(1)}${shown}: `
    this.#asked += 1
    for (;;) {
      const answer = (await this.#terminal.question(prompt)) || fallback
      if (answer !== undefined) return answer
      this.tell('an answer is needed here')
    }
  }
}

const placeOf = (answer: string): SecretPlace =>
  answer.startsWith(ENV) ? { env: answer.slice(ENV.length) } : { file: answer }

const fromHere = (answer: string): string =>
  answer.startsWith('~/') ? join(homedir(), answer.slice(2)) : resolve(answer)
