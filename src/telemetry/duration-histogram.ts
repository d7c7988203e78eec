import { Series, type LabelValue } from './series.ts'
import { labelText, type MetricData } from './snapshot.ts'

/** Upper bounds in seconds. Azure's 250 ms and the default deadline of 200 ms are among them. */
export const durationBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1,
]

interface Durations {
  /** Its labels. */
  readonly text: string
  /** The count of each bucket, not cumulative. The last bucket is above every bound. */
  readonly counts: number[]
  sum: number
}

/**
 * Durations by labels. At a scrape it looks like prom-client's histogram. prom-client makes a text of all labels for
 * each observation, and two observations would cost a request half as much as its key wrap.
 */
export class DurationHistogram {
  readonly #name: string
  readonly #help: string
  readonly #series: Series<Durations>

  constructor(name: string, help: string, labels: readonly string[]) {
    this.#name = name
    this.#help = help
    this.#series = new Series((path) => ({
      text: labelText(labels.map((label, index) => [label, path[index]])),
      counts: [...durationBounds, Infinity].map(() => 0),
      sum: 0,
    }))
  }

  /** @param labels one for each name, in their order */
  observe(seconds: number, ...labels: readonly LabelValue[]): void {
    const durations = this.#series.of(labels)
    let bucket = 0
    while (bucket < durationBounds.length && seconds > (durationBounds[bucket] ?? Infinity)) bucket += 1
    durations.counts[bucket] = (durations.counts[bucket] ?? 0) + 1
    durations.sum += seconds
  }

  /** Like {@link Series.keep}. */
  keep(isKept: (labels: readonly LabelValue[]) => boolean): void {
    this.#series.keep(isKept)
  }

  /** The labels of each series, and how many durations fell into each bucket of {@link durationBounds} and above. */
  *all(): Generator<readonly [readonly LabelValue[], readonly number[]]> {
    for (const [labels, { counts }] of this.#series.all()) yield [labels, counts]
  }

  data(): MetricData {
    const all = [...this.#series.all()].map(([, { text, counts, sum }]) => [text, [...counts, sum]] as const)
    const series = new Map<string, readonly number[]>(all)
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', bounds: durationBounds, series }
  }
}
