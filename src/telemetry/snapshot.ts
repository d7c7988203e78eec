/** One metric of one process. */
export interface MetricData {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly aggregator: Aggregator
  /**
   * The upper bounds of a histogram's buckets. Each series then has the count of each bucket, the count above the last
   * bound, and the sum of the values.
   */
  readonly bounds?: readonly number[]
  readonly series: Series
}

/** What the values of several processes come to; `omit` is not shown. */
export type Aggregator = 'sum' | 'min' | 'max' | 'first' | 'average' | 'omit'

/** Values by the series as Prometheus prints it: with the metric's name, or only its labels if there are `bounds`. */
export type Series = ReadonlyMap<string, readonly number[]>

/** All that one process has counted, as data that another process can be sent. */
export type MetricSnapshot = readonly MetricData[]

type LabelValue = string | number | undefined

/** A metric's labels as Prometheus prints them, without braces. */
export const labelText = (labels: readonly (readonly [name: string, value: LabelValue])[]): string =>
  labels.map(([name, value]) => `${name}="${escaped(String(value))}"`).join()

/** A series as Prometheus prints it. */
export const seriesText = (name: string, labels: string): string => (labels === '' ? name : `${name}{${labels}}`)

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
