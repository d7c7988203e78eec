import { Series, type LabelValue } from './series.ts'
import { labelText, seriesText, type MetricData } from './snapshot.ts'

/** Counts events by labels. At a scrape it looks like prom-client's counter, without that one's 3 µs for each event. */
export class EventCounter {
  readonly #name: string
  readonly #help: string
  readonly #series: Series<{ readonly text: string; count: number }>

  /** @param name ends with `_total` */
  constructor(name: string, help: string, labels: readonly string[] = []) {
    this.#name = name
    this.#help = help
    this.#series = new Series((path) => ({
      text: seriesText(name, labelText(labels.map((label, index) => [label, path[index]]))),
      count: 0,
    }))
  }

  /**
   * Creates the series with these labels at 0. Without it, Prometheus would not see the first events as an increase.
   */
  begin(...labels: readonly LabelValue[]): void {
    this.#series.of(labels)
  }

  /** @param labels one for each name, in their order */
  count(...labels: readonly LabelValue[]): void {
    this.#series.of(labels).count += 1
  }

  /** Like {@link Series.keep}. */
  keep(isKept: (labels: readonly LabelValue[]) => boolean): void {
    this.#series.keep(isKept)
  }

  /** Each series by its labels. */
  all(): Generator<readonly [readonly LabelValue[], { readonly count: number }]> {
    return this.#series.all()
  }

  data(): MetricData {
    const series = new Map([...this.#series.all()].map(([, { text, count }]) => [text, [count]] as const))
    return { name: this.#name, help: this.#help, type: 'counter', aggregator: 'sum', series }
  }
}
