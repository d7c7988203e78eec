import type { Outcome, Series } from '../figure.ts'
import { cellOf, checksOf, columnOf, middleOf, resultOf, tableOf, withoutValue } from './markdown.ts'
import { describeMachine, formatMeasured, formatTarget, type Run } from './results.ts'

/** A summary, the chart, the tables of every figure, and the machines. */
export function resultsSection(runs: readonly Run[]): string {
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
  const checks = checksOf(name, runs)
  if (checks.length === 0) return [['', '', ...runs.map((run) => withoutValue(resultOf(name, run)))]]
  return checks.map((check) => [
    check.what,
    formatTarget(check),
    ...runs.map((run) => cellOf(name, check.what, run, formatMeasured)),
  ])
}

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
