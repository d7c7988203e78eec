import { EventCounter } from './event-counter.ts'
import { gaugeData, type Gauge } from './gauges.ts'
import { logLinesDropped, loginsRefused } from './metrics.ts'
import { pageOf } from './page.ts'
import type { MetricSnapshot } from './snapshot.ts'

export interface DaysLeft {
  readonly role: string
  readonly subject: string
  readonly days: number
}

export interface ListDaysLeft {
  readonly pool: string
  readonly issuer: string
  readonly days: number
  /** Share of the time from the list's issue to the next list, from 1 to 0; negative afterwards. */
  readonly share: number
}

export interface PoolGaps {
  readonly pool: string
  readonly gaps: readonly { readonly issuer: string; readonly certificates: string; readonly reason: string }[]
}

/** Called at each scrape. */
interface Observed {
  certificateDaysLeft(): readonly DaysLeft[]
  listDaysLeft(): readonly ListDaysLeft[]
  /** What no revocation list covers, of each pool that has lists. */
  listGaps(): readonly PoolGaps[]
  /** Log lines lost by the process that serves no requests. */
  logLinesLost(): number
}

/** How a reload ended. */
export interface ReloadOutcome {
  /** In milliseconds since the epoch. */
  readonly at: number
  /** Why it failed; absent where it succeeded. */
  readonly problem?: string
  /** The OperatorError's code, if it failed with one. */
  readonly code?: string
}

const MAX_LOSSES = 100

/** Events of the gateway as a whole, however many processes serve. */
export class ServiceEvents {
  readonly #reloads = new EventCounter(
    'ekm_reloads_total',
    'Reloads of the configuration by result. A failed one changes nothing.',
    ['result'],
  )
  readonly #workersLost = new EventCounter('ekm_workers_lost_total', 'Worker processes that ended unexpectedly.')
  readonly #loginsRefused = loginsRefused()
  readonly #adminRefused = new EventCounter(
    'ekm_admin_refused_total',
    'Requests to the admin port that showed no token, a wrong one, or one after too many wrong ones.',
    ['reason'],
  )
  readonly #workersLostAt: number[] = []
  /** What became of the last reload; undefined before the first. */
  lastReload: ReloadOutcome | undefined
  /** When the gateway began, and when it took over the configuration that it serves by: in milliseconds since the epoch. */
  readonly startedAt = Date.now()
  configuredAt = this.startedAt

  constructor() {
    for (const result of ['succeeded', 'failed']) this.#reloads.begin(result)
    this.#workersLost.begin()
    this.#loginsRefused.begin('')
    for (const reason of ['missing', 'wrong', 'too_many']) this.#adminRefused.begin(reason)
  }

  /**
   * @param problem why it failed, as the log tells it; absent where it succeeded
   * @param code of the OperatorError
   */
  reloaded(result: 'succeeded' | 'failed', problem?: string, code?: string): void {
    const why = result === 'failed' && { problem: problem ?? '', ...(code !== undefined && { code }) }
    this.lastReload = { at: Date.now(), ...why }
    if (result === 'succeeded') this.configuredAt = this.lastReload.at
    this.#reloads.count(result)
  }

  workerLost(): void {
    this.#workersLost.count()
    this.#workersLostAt.push(Date.now())
    if (this.#workersLostAt.length > MAX_LOSSES) this.#workersLostAt.shift()
  }

  /** Workers that were lost within the last `ms`; of many, some. */
  workersLostWithin(ms: number): number {
    return this.#workersLostAt.filter((at) => at > Date.now() - ms).length
  }

  /** @param reason why somebody who asked the admin port was not answered */
  adminRefused(reason: string): void {
    this.#adminRefused.count(reason)
  }

  /** Counts a refused login of a worker that could not start because of it; the worker's own count is lost. */
  loginRefused(): void {
    this.#loginsRefused.count('')
  }

  /** Like {@link Metrics.snapshot}. */
  snapshot(): MetricSnapshot {
    return [
      this.#reloads.data(),
      this.#workersLost.data(),
      this.#loginsRefused.data(),
      this.#adminRefused.data(),
      ...gaugeData(reloadGauges, this.lastReload?.problem === undefined),
    ]
  }
}

/** Of whether the last reload succeeded. */
const reloadGauges: readonly Gauge<boolean>[] = [
  {
    name: 'ekm_last_reload_successful',
    help: '1 if the last reload succeeded, 0 if it failed.',
    aggregator: 'min',
    samples: (isGood) => [[{}, Number(isGood)]],
  },
]

const gauges: readonly Gauge<{ readonly version: string; readonly observed: Observed }>[] = [
  {
    name: 'ekm_build_info',
    help: 'Always 1. The labels are the versions of the gateway and of Node.js.',
    aggregator: 'max',
    samples: ({ version }) => [[{ version, node: process.version }, 1]],
  },
  {
    name: 'ekm_certificate_days_left',
    help: 'Days until a certificate expires; negative afterwards.',
    aggregator: 'min',
    samples: ({ observed }) =>
      observed.certificateDaysLeft().map(({ role, subject, days }) => [{ role, subject }, days]),
  },
  {
    name: 'ekm_crl_days_left',
    help: "Days until the issuer's next revocation list is due; negative afterwards.",
    aggregator: 'min',
    samples: ({ observed }) => observed.listDaysLeft().map(({ pool, issuer, days }) => [{ pool, issuer }, days]),
  },
  {
    name: 'ekm_crl_time_left_ratio',
    help: "Share of a revocation list's validity that is left, from 1 (just issued) to 0 (the next one is due); negative afterwards.",
    aggregator: 'min',
    samples: ({ observed }) => observed.listDaysLeft().map(({ pool, issuer, share }) => [{ pool, issuer }, share]),
  },
  {
    name: 'ekm_crl_gaps',
    help: 'CAs of the pool whose certificates, of clients or of CAs, no revocation list in use covers.',
    aggregator: 'max',
    samples: ({ observed }) => observed.listGaps().map(({ pool, gaps }) => [{ pool }, gaps.length]),
  },
]

/** Gateway-wide metrics, and the merged scrape of all serving processes. */
export class ServiceMetrics {
  readonly #version: string
  readonly #observed: Observed
  readonly #events: ServiceEvents

  constructor(version: string, observed: Observed, events: ServiceEvents) {
    this.#version = version
    this.#observed = observed
    this.#events = events
  }

  /**
   * The merged scrape in Prometheus' text format.
   *
   * @param processes one snapshot for each serving process
   */
  async text(processes: readonly MetricSnapshot[]): Promise<string> {
    const own = [
      ...this.#events.snapshot(),
      logLinesDropped(this.#observed.logLinesLost()),
      ...gaugeData(gauges, { version: this.#version, observed: this.#observed }),
    ]
    return pageOf([...processes, own])
  }
}
