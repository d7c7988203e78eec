import { Turns } from '../base/turns.ts'
import { seriesText, type Aggregator, type MetricData, type MetricSnapshot } from './snapshot.ts'

/** Prometheus' text format of what several processes come to. */
export async function pageOf(snapshots: readonly MetricSnapshot[]): Promise<string> {
  const turns = new Turns()
  const parts: string[] = []
  for (const metrics of byName(snapshots)) {
    const metric = mergedMetric(metrics)
    if (metric === undefined) continue
    parts.push(`# HELP ${metric.name} ${metric.help}`, `# TYPE ${metric.name} ${metric.type}`)
    for (const [series, values] of metric.series) {
      if (metric.bounds === undefined) parts.push(`${series} ${numberText(values[0] ?? 0)}`)
      else parts.push(...histogramLines(metric.name, series, metric.bounds, values))
      await turns.giveWay()
    }
    parts.push('')
  }
  return parts.join('\n')
}

/** What several snapshots come to, as one. */
export const merged = (snapshots: readonly MetricSnapshot[]): MetricSnapshot =>
  byName(snapshots).flatMap((metrics) => mergedMetric(metrics) ?? [])

function byName(snapshots: readonly MetricSnapshot[]): (readonly MetricData[])[] {
  const metrics = new Map<string, MetricData[]>()
  for (const metric of snapshots.flat()) listed(metrics, metric.name).push(metric)
  return [...metrics.values()]
}

function listed<Value>(lists: Map<string, Value[]>, name: string): Value[] {
  const list = lists.get(name) ?? []
  lists.set(name, list)
  return list
}

/** `undefined` for one that is not shown. A metric of one process is as it is. */
function mergedMetric(metrics: readonly MetricData[]): MetricData | undefined {
  const [first, ...others] = metrics
  if (first === undefined || first.aggregator === 'omit') return undefined
  if (others.length === 0) return first
  const combine = combined[first.aggregator]
  const all = new Map<string, (readonly number[])[]>()
  for (const { series } of metrics) for (const [name, values] of series) listed(all, name).push(values)
  const series = [...all].map(([name, [one = [], ...rest]]) => {
    const values = one.map((value, index) => combine([value, ...rest.map((other) => other[index] ?? 0)]))
    return [name, values] as const
  })
  return { ...first, series: new Map(series) }
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const combined: Readonly<Record<Exclude<Aggregator, 'omit'>, (values: readonly number[]) => number>> = {
  sum,
  min: (values) => Math.min(...values),
  max: (values) => Math.max(...values),
  first: ([value = 0]) => value,
  average: (values) => sum(values) / values.length,
}

function histogramLines(name: string, labels: string, bounds: readonly number[], values: readonly number[]): string[] {
  const [total] = values.slice(-1)
  const rest = labels === '' ? '' : `,${labels}`
  let below = 0
  const buckets = [...bounds, Infinity].map((bound, index) => {
    below += values[index] ?? 0
    return `${name}_bucket{le="${numberText(bound)}"${rest}} ${below}`
  })
  return [
    ...buckets,
    `${seriesText(`${name}_sum`, labels)} ${numberText(total ?? 0)}`,
    `${seriesText(`${name}_count`, labels)} ${below}`,
  ]
}

const numberText = (value: number): string =>
  Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
