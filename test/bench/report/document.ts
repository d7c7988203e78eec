import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { passes, type Check, type Outcome, type Series } from '../figure.ts'
import { median } from '../statistics.ts'
import { chartOf } from './chart.ts'
import {
  describeMachine,
  formatMeasured,
  formatTarget,
  mergeRuns,
  withLatestTargets,
  type FigureResult,
  type Run,
} from './results.ts'

const docs = (name: string) => new URL(`../../../../docs/${name}`, import.meta.url)
const JSON_FILE = docs('performance.json')
const CHART_FILE = docs('performance.svg')
const PAGE_FILE = docs('performance.md')
const BEGIN = '<!-- npm run bench -- --write-docs: begin -->'
const END = '<!-- npm run bench -- --write-docs: end -->'

/** Brings table and chart of docs/performance.md up to date; see {@link mergeRuns} for what stays. */
export async function writeDocs(latest: Run, order: readonly string[]): Promise<void> {
  const before = JSON.parse(await readFile(JSON_FILE, 'utf8').catch(() => '[]')) as Run[]
  const runs = mergeRuns(before, latest, order)
  await write(JSON_FILE, JSON.stringify(runs))
  await renderDocs()
}

/** Makes table and chart of docs/performance.md from the stored results. */
export async function renderDocs(): Promise<void> {
  const runs = JSON.parse(await readFile(JSON_FILE, 'utf8')) as Run[]
  const page = await readFile(PAGE_FILE, 'utf8')
  await writeFile(CHART_FILE, chartOf(withLatestTargets(runs)))
  await write(PAGE_FILE, pageOf(page, runs))
}

/**
 * @returns `page` with the tables of `runs`, as Markdown that Prettier has not seen
 * @throws Error if `page` has no place for them
 */
export function pageOf(page: string, runs: readonly Run[]): string {
  const [head, rest] = page.split(BEGIN)
  const tail = rest?.split(END)[1]
  if (head === undefined || tail === undefined) throw new Error(`docs/performance.md has no ${BEGIN} … ${END}`)
  return `${head}${BEGIN}\n\n${sectionOf(runs)}\n\n${END}${tail}`
}

async function write(file: URL, text: string): Promise<void> {
  const config = await resolveConfig(file)
  await writeFile(file, await format(text, { ...config, filepath: file.pathname }))
}

/** @returns the part of docs/performance.md that is made from results, as Markdown that Prettier has not seen */
function sectionOf(stored: readonly Run[]): string {
  const runs = withLatestTargets(stored)
  const names = [...new Set(runs.flatMap(({ figures }) => figures.map(({ name }) => name)))]
  return [
    tableOf(['measured', 'by', ...runs.map(columnOf)], summaryOf(runs)),
    '![How much of each target was used](performance.svg)',
    'The tables below have medians of the repetitions, in brackets the least and the greatest. Bold misses its target.',
    ...names.map((name) => figureOf(name, runs)),
    '### Machines',
    runs.map((run) => `- ${columnOf(run)}: ${describeMachine(run)}; ${datesOf(run)}.`).join('\n'),
  ].join('\n\n')
}

const columnOf = ({ machine }: Run) => `Node.js ${machine.serverNode}`

const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** What the summary says, and the check or series with its value. */
const summary: readonly { readonly what: string; readonly figure: string; readonly from: string }[] = [
  { what: 'A256KWP wraps a second, one core', figure: 'wrap', from: 'gateway' },
  { what: 'CPU time of one with three workers, µs', figure: 'workers', from: '3 workers' },
  { what: 'A256KW calls a second on SoftHSM', figure: 'softhsm', from: 'SoftHSM' },
  { what: '99th percentile at 1800 calls/s, ms', figure: 'rate', from: 'software store: 99th percentile' },
  { what: 'the same on SoftHSM, ms', figure: 'rate', from: 'SoftHSM: 99th percentile' },
  {
    what: 'added to a PKCS#11 call, ms',
    figure: 'softhsm-latency',
    from: 'added to the direct calls at the median, HTTPS included',
  },
  {
    what: 'added to a KMIP exchange, ms',
    figure: 'kmip-latency',
    from: 'added to the bare exchange at the median, HTTPS included',
  },
  { what: 'CPU time of a full handshake, ms', figure: 'handshakes', from: 'gateway, full' },
  { what: 'CPU time of a resumed handshake, ms', figure: 'handshakes', from: 'gateway, resumed' },
]

function summaryOf(runs: readonly Run[]): string[][] {
  const known = new Set(runs.flatMap(({ figures }) => figures.map(({ name }) => name)))
  return summary
    .filter(({ figure }) => known.has(figure))
    .map(({ what, figure, from }) => {
      const cells = runs.map(({ figures }) => {
        const outcome = figures.find(({ name }) => name === figure)?.outcome
        const check = outcome?.checks.find((one) => one.what === from)
        const series = outcome?.series.find((one) => one.what === from)
        return middleOf(check === undefined ? series?.values : [check.measured.median])
      })
      return [what, `\`${figure}\``, ...cells]
    })
}

/** A heading, a table of the checks, a table of the measured series, and the notes. */
function figureOf(name: string, all: readonly Run[]): string {
  const runs = all.filter(({ figures }) => figures.some((figure) => figure.name === name))
  const columns = runs.map(columnOf)
  const title = runs.flatMap(({ figures }) => figures).findLast((figure) => figure.name === name)?.title ?? ''
  const outcomes = runs.map(({ figures }) => figures.find((figure) => figure.name === name)?.outcome)
  const series = seriesOf(outcomes)
  return [
    `### \`${name}\``,
    title,
    tableOf(['what', 'target', ...columns], rowsOf(name, runs)),
    ...(series.length > 0 ? [tableOf(['measured', ...columns], series)] : []),
    notesOf(outcomes, runs),
  ].join('\n\n')
}

function datesOf({ figures, plan }: Run): string {
  const dates = [...new Set(figures.map(({ measuredAt }) => measuredAt.slice(0, 10)))].sort()
  const loads = figures.map(({ loadBefore }) => loadBefore)
  return (
    `${dates.join(' and ')}, ${plan.repetitions} repetitions, ` +
    `load average before each figure ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`
  )
}

function rowsOf(name: string, runs: readonly Run[]): string[][] {
  const results = runs.map(({ figures }) => figures.find((figure) => figure.name === name))
  const checks = results.find((result) => result?.outcome)?.outcome?.checks
  if (checks === undefined) return [['', '', ...results.map((result) => otherwise(result))]]
  return checks.map((first) => {
    const cells = results.map((result) => {
      const check = result?.outcome?.checks.find((one) => one.what === first.what)
      return check === undefined ? otherwise(result) : cellOf(check)
    })
    return [first.what, formatTarget(first), ...cells]
  })
}

const cellOf = (check: Check) => (passes(check) ? formatMeasured(check) : `**${formatMeasured(check)}**`)

const otherwise = (result: FigureResult | undefined) =>
  result?.notAvailable !== undefined ? 'not available' : result?.failed !== undefined ? 'could not be measured' : ''

/** A row for each series, with its median in each run. */
function seriesOf(outcomes: readonly (Outcome | undefined)[]): string[][] {
  const titleOf = ({ what, unit }: Series) => `${what} (${unit})`
  const titles = new Set(outcomes.flatMap((outcome) => outcome?.series.map(titleOf) ?? []))
  return [...titles].map((title) => [
    title,
    ...outcomes.map((outcome) => middleOf(outcome?.series.find((one) => titleOf(one) === title)?.values)),
  ])
}

/** Each note once, in front of it the versions of Node.js if it does not hold for all. */
function notesOf(outcomes: readonly (Outcome | undefined)[], runs: readonly Run[]): string {
  const notes = new Set(outcomes.flatMap((outcome) => outcome?.notes ?? []))
  return [...notes]
    .map((note) => {
      const versions = runs
        .filter((_, index) => outcomes[index]?.notes.includes(note))
        .map(({ machine }) => machine.serverNode)
      return versions.length === runs.length ? `- ${note}` : `- Node.js ${versions.join(', ')}: ${note}`
    })
    .join('\n')
}

/** The median with three significant digits; empty if there is no value. */
function middleOf(values: readonly number[] = []): string {
  return values.length === 0 ? '' : String(Number(median(values).toPrecision(3)))
}
