import { AggregatorRegistry, Gauge, Registry } from 'prom-client'
import type { MetricSnapshot } from './metrics.ts'

export interface DaysLeft {
  readonly role: string
  readonly subject: string
  readonly days: number
}

export interface ListDaysLeft {
  readonly pool: string
  readonly issuer: string
  readonly days: number
}

/** What is asked at each scrape. */
interface Dates {
  certificateDaysLeft(): readonly DaysLeft[]
  listDaysLeft(): readonly ListDaysLeft[]
}

/** What there is once for the whole gateway, however many processes serve, and one page of it and of all of theirs. */
export class ServiceMetrics {
  readonly #registry = new Registry()

  constructor(version: string, dates: Dates) {
    const registers = [this.#registry]
    new Gauge({
      name: 'ekm_build_info',
      help: 'The version that runs; always 1.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ version, node: process.version }, 1)
    new Gauge({
      name: 'ekm_certificate_days_left',
      help: 'Days until a certificate expires; negative afterwards.',
      labelNames: ['role', 'subject'],
      registers,
      collect() {
        this.reset()
        for (const { role, subject, days } of dates.certificateDaysLeft()) this.set({ role, subject }, days)
      },
    })
    new Gauge({
      name: 'ekm_crl_days_left',
      help: 'Days until a newer revocation list of this issuer should be there; negative afterwards.',
      labelNames: ['pool', 'issuer'],
      registers,
      collect() {
        this.reset()
        for (const { pool, issuer, days } of dates.listDaysLeft()) this.set({ pool, issuer }, days)
      },
    })
  }

  /**
   * Prometheus' text format.
   *
   * @param processes one for each process that serves
   */
  async text(processes: readonly MetricSnapshot[]): Promise<string> {
    return AggregatorRegistry.aggregate([...processes, await this.#registry.getMetricsAsJSON()]).metrics()
  }
}
