import { passes, type Check } from '../figure.ts'
import { cellOf, checksOf, columnOf, resultOf, tableOf } from './markdown.ts'
import { formatNumber, formatTarget, type Run } from './results.ts'

const formatMedian = ({ measured, unit }: Check) => formatNumber(measured.median, unit)

/** Every check that at least one of the runs misses, with its medians. */
export function missedSection(runs: readonly Run[]): string {
  const figures = [...new Set(runs.flatMap((run) => run.figures.map(({ name }) => name)))]
  const rows = figures.flatMap((figure) =>
    checksOf(figure, runs)
      .filter(({ what }) => runs.some((run) => misses(figure, what, run)))
      .map((check) => [
        check.what,
        `\`${figure}\``,
        formatTarget(check),
        ...runs.map((run) => cellOf(figure, check.what, run, formatMedian)),
      ]),
  )
  if (rows.length === 0) return 'No measured value misses its target.'
  return tableOf(['what', 'by', 'target', ...runs.map(columnOf)], rows)
}

const misses = (figure: string, what: string, run: Run) =>
  resultOf(figure, run)?.outcome?.checks.some((check) => check.what === what && !passes(check)) ?? false
