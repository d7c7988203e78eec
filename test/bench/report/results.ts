import type { Check, Outcome, Plan } from '../figure.ts'
import type { Machine } from '../machine.ts'

/** The outcome of a figure: numbers, the reason why it cannot be measured here, or an error. */
export interface FigureResult {
  readonly name: string
  readonly title: string
  readonly measuredAt: string
  /** The machine's load average before the figure, which shows other work. */
  readonly loadBefore: number
  readonly outcome?: Outcome
  readonly notAvailable?: string
  readonly failed?: string
}

/** Everything measured with one Node.js version under the servers. */
export interface Run {
  readonly machine: Machine
  readonly plan: Plan
  readonly figures: readonly FigureResult[]
}

const majorOf = ({ machine }: Run) => machine.serverNode.split('.')[0] ?? ''

/**
 * Merges `latest` into earlier runs. It replaces the run with the same major version of Node.js. Figures of that run
 * which were not measured again stay, if machine and plan are the same.
 *
 * @param order names of the figures
 */
export function mergeRuns(before: readonly Run[], latest: Run, order: readonly string[]): Run[] {
  const old = before.find((run) => majorOf(run) === majorOf(latest))
  const comparable = old && isSame(old.machine, latest.machine) && isSame(old.plan, latest.plan)
  const again = new Set(latest.figures.map(({ name }) => name))
  const kept = comparable ? old.figures.filter(({ name }) => !again.has(name)) : []
  const figures = [...kept, ...latest.figures].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
  return [...before.filter((run) => run !== old), { ...latest, figures }].sort(
    (a, b) => Number(majorOf(a)) - Number(majorOf(b)),
  )
}

/** The same runs, with the target of each check that the latest measurement has: a table has one target for all. */
export function withLatestTargets(runs: readonly Run[]): Run[] {
  const results = runs.flatMap(({ figures }) => figures).sort((a, b) => a.measuredAt.localeCompare(b.measuredAt))
  const targetOf = (figure: string, { what, target }: Check) =>
    results
      .filter(({ name }) => name === figure)
      .flatMap(({ outcome }) => outcome?.checks ?? [])
      .findLast((check) => check.what === what)?.target ?? target
  const renewed = ({ name, outcome, ...rest }: FigureResult): FigureResult => {
    if (outcome === undefined) return { name, ...rest }
    const checks = outcome.checks.map((check) => ({ ...check, target: targetOf(name, check) }))
    return { name, ...rest, outcome: { ...outcome, checks } }
  }
  return runs.map((run) => ({ ...run, figures: run.figures.map(renewed) }))
}

const isSame = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b)

const digits = { '×': 2, ms: 2, '%': 1, of: 0, MiB: 0 } as const

/** Of milliseconds, three digits at most before and after the point together, but all of those before it. */
function fixed(value: number, unit: Check['unit']): string {
  const size = Math.abs(value)
  return value.toFixed(unit !== 'ms' || size < 10 ? digits[unit] : size < 100 ? 1 : 0)
}

export function formatNumber(value: number, unit: Check['unit']): string {
  const number = fixed(value, unit)
  return unit === 'of' ? number : `${number} ${unit}`
}

export const formatTarget = ({ relation, target, unit }: Check): string =>
  unit === 'of' && target === 0 ? 'none' : `${relation === 'at least' ? '≥' : '≤'} ${target} ${unit}`

/** The median, with the least and the greatest value where they differ. */
export function formatMeasured({ measured: { median, low, high }, unit }: Check): string {
  const value = formatNumber(median, unit)
  return low === high ? value : `${value} (${fixed(low, unit)} to ${fixed(high, unit)})`
}

export function describeMachine({ machine }: Run): string {
  const { cpu, cores, virtual, memoryGiB, kernel, system, placement } = machine
  const kind = virtual ? 'a virtual machine with' : ''
  const { serverNode, serverOpenssl, generatorNode } = machine
  const generator = generatorNode === serverNode ? '' : `, load generator on Node.js ${generatorNode}`
  return (
    `${kind} ${cores} cores (${cpu}), ${memoryGiB} GiB, ${system}, Linux ${kernel}; ` +
    `Node.js ${serverNode}, OpenSSL ${serverOpenssl}${generator}; ${placement}`
  ).trim()
}
