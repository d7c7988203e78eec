/** Seconds; Azure's 250 ms and the default deadline of 200 ms are bounds of their own. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1]

type LabelValue = string | number

interface Series {
  /** Of each bucket by itself; the last has what is above every bound. */
  readonly counts: number[]
  sum: number
}

/** By the value of the first label, of the second, and so on. */
type Tree = Map<LabelValue, Tree | Series>

/**
 * How long something took, by labels. It is what prom-client's histogram is at a scrape; but that one makes a text of all
 * labels for each observation, and two observations cost a request half as much as its key wrap.
 */
export class DurationHistogram {
  readonly #name: string
  readonly #help: string
  readonly #labels: readonly string[]
  readonly #tree: Tree = new Map()

  constructor(name: string, help: string, labels: readonly string[]) {
    this.#name = name
    this.#help = help
    this.#labels = labels
  }

  /** @param values one for each label, in their order */
  observe(seconds: number, ...values: readonly LabelValue[]): void {
    let node: Tree | Series | undefined = this.#tree
    for (const value of values) node = node instanceof Map ? node.get(value) : undefined
    const series = node === undefined || node instanceof Map ? this.#plant(values) : node
    let bucket = 0
    while (bucket < BOUNDS.length && seconds > (BOUNDS[bucket] ?? Infinity)) bucket += 1
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1
    series.sum += seconds
  }

  /** In the form of prom-client's `Registry.getMetricsAsJSON()`. */
  toJSON(): object {
    const values = [...this.#series(this.#tree, [])].flatMap(([path, { counts, sum }]) => {
      const labels = Object.fromEntries(this.#labels.map((label, index) => [label, path[index]]))
      let below = 0
      const buckets = counts.map((count, index) => ({
        labels: { le: BOUNDS[index] ?? '+Inf', ...labels },
        value: (below += count),
        metricName: `${this.#name}_bucket`,
      }))
      return [
        ...buckets,
        { labels, value: sum, metricName: `${this.#name}_sum` },
        { labels, value: below, metricName: `${this.#name}_count` },
      ]
    })
    return { name: this.#name, help: this.#help, type: 'histogram', values, aggregator: 'sum' }
  }

  #plant(values: readonly LabelValue[]): Series {
    let tree = this.#tree
    for (const value of values.slice(0, -1)) {
      const next = tree.get(value)
      const branch: Tree = next instanceof Map ? next : new Map<LabelValue, Tree | Series>()
      tree.set(value, branch)
      tree = branch
    }
    const series: Series = { counts: [...BOUNDS, Infinity].map(() => 0), sum: 0 }
    tree.set(values.at(-1) ?? '', series)
    return series
  }

  *#series(node: Tree | Series, path: readonly LabelValue[]): Generator<readonly [readonly LabelValue[], Series]> {
    if (!(node instanceof Map)) yield [path, node]
    else for (const [value, child] of node) yield* this.#series(child, [...path, value])
  }
}
