import type { Registry } from 'prom-client'
import { labelText, seriesText, type MetricData, type MetricSnapshot } from './snapshot.ts'

/** What prom-client has, whose types leave out the form that it gives metrics. */
interface TheirMetric extends Omit<MetricData, 'series' | 'bounds'> {
  readonly values: readonly {
    readonly labels: Readonly<Record<string, string | number | undefined>>
    readonly value: number
    /** The metric's name with an ending, for the parts of a histogram. */
    readonly metricName?: string
  }[]
}

/**
 * What prom-client itself measures: the process and Node.js. The library is loaded for the first scrape, because it loads
 * 88 modules. Pauses for garbage collection and the delay of the event loop are measured from then on.
 */
export class ProcessMetrics {
  #registry: Promise<Registry> | undefined

  async snapshot(): Promise<MetricSnapshot> {
    this.#registry ??= begin()
    const registry = await this.#registry
    const metrics = (await registry.getMetricsAsJSON()) as unknown as readonly TheirMetric[]
    return metrics.map(({ values, ...metric }) => ({
      ...metric,
      series: new Map(
        values.map(({ labels, value, metricName = metric.name }) => [
          seriesText(metricName, labelText(Object.entries(labels))),
          [value],
        ]),
      ),
    }))
  }
}

async function begin(): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await import('prom-client')
  const register = new Registry()
  collectDefaultMetrics({ register })
  return register
}
