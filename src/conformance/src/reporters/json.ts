import { visible } from '../visible.ts'
import { statisticsOf, bucketsOf, BUDGET_MS } from '../measurements.ts'
import type { Report } from '../runner.ts'
import { countsOf, urlOf, verdictOf } from './summary.ts'

/** For programs. Members may be added. Within one version of the format no member is removed or changes its meaning. */
export function jsonReport(report: Report): string {
  const { measurements, results, about, startedAt, seconds, conformant } = report
  const latency = measurements.all.map(([name, samples]) => ({
    name,
    ...statisticsOf(samples),
    // The last bucket has no upper end, and JSON has no Infinity.
    buckets: bucketsOf(samples).map(({ from, to, count }) => ({ from, to: to === Infinity ? null : to, count })),
  }))
  const all = {
    format: 1,
    conformant,
    verdict: verdictOf(report),
    counts: countsOf(report),
    url: urlOf(report),
    about,
    startedAt: startedAt.toISOString(),
    seconds,
    cases: results,
    latency: { unit: 'ms', budget: BUDGET_MS, series: latency, load: measurements.load ?? null },
  }
  return visible(JSON.stringify(all, undefined, 2)) + '\n'
}
