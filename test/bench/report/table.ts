import { styleFor, type Style } from '../../../src/conformance/src/index.ts'
import { passes, type Check } from '../figure.ts'
import { describeMachine, formatMeasured, formatTarget, type FigureResult, type Run } from './results.ts'

const WHAT = 62
const MEASURED = 30

/** The report for a terminal. */
export function tableOf(run: Run, style: Style = styleFor(process.stdout, process.env)): string {
  return [
    style.dim(describeMachine(run)),
    style.dim(`${run.plan.repetitions} repetitions in turns; medians, with the least and the greatest`),
    ...run.figures.flatMap((result) => ['', ...linesOf(result, style)]),
    '',
  ].join('\n')
}

function linesOf({ name, title, outcome, notAvailable, failed }: FigureResult, style: Style): string[] {
  const head = `${style.bold(name)}: ${title}`
  if (failed !== undefined) return [head, style.bad(`  ✗ could not be measured: ${failed}`)]
  if (outcome === undefined) return [head, style.warn(`  - not available: ${notAvailable ?? ''}`)]
  return [
    head,
    ...outcome.checks.map((check) => checkLine(check, style)),
    ...outcome.series.map(({ what, unit, values }) =>
      style.dim(`    ${what}: ${values.map((value) => Number(value.toPrecision(4))).join(' ')} ${unit}`),
    ),
    ...outcome.notes.map((note) => style.dim(`    ${note}`)),
  ]
}

function checkLine(check: Check, style: Style): string {
  const line = `${check.what.padEnd(WHAT)} ${formatMeasured(check).padEnd(MEASURED)} ${formatTarget(check)}`
  return passes(check) ? style.good(`  ✓ ${line}`) : style.bad(`  ✗ ${line}`)
}
