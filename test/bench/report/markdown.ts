import { passes, type Check } from '../figure.ts'
import { median } from '../statistics.ts'
import type { FigureResult, Run } from './results.ts'

export const columnOf = ({ machine }: Run): string => `Node.js ${machine.serverNode}`

export const tableOf = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** The median with three significant digits; empty if there is no value. */
export const middleOf = (values: readonly number[] = []): string =>
  values.length === 0 ? '' : String(Number(median(values).toPrecision(3)))

export const resultOf = (figure: string, { figures }: Run): FigureResult | undefined =>
  figures.find(({ name }) => name === figure)

/** Each check of a figure once, also one that only some of the runs have. */
export function checksOf(figure: string, runs: readonly Run[]): Check[] {
  const checks = runs.flatMap((run) => resultOf(figure, run)?.outcome?.checks ?? [])
  return checks.filter(({ what }, index) => checks.findIndex((check) => check.what === what) === index)
}

/** The value of a check in a run: bold if it misses the target. */
export function cellOf(figure: string, what: string, run: Run, format: (check: Check) => string): string {
  const result = resultOf(figure, run)
  const check = result?.outcome?.checks.find((one) => one.what === what)
  if (check === undefined) return withoutValue(result)
  return passes(check) ? format(check) : `**${format(check)}**`
}

/** What stands in place of a value. */
export const withoutValue = (result: FigureResult | undefined): string =>
  result?.notAvailable !== undefined ? 'not available' : result?.failed !== undefined ? 'could not be measured' : ''
