import { DurationHistogram } from './duration-histogram.ts'
import { EventCounter } from './event-counter.ts'
import { gaugesOf, type Observed } from './gauges.ts'
import { poolCounts, type PoolCounts } from './pool-counts.ts'
import { ProcessMetrics } from './process-metrics.ts'
import type { MetricData, MetricSnapshot } from './snapshot.ts'
import { Turns } from '../base/turns.ts'

/** What a request was, in words that the configuration and the API bound. */
export interface RequestLabels {
  readonly pool?: string | undefined
  readonly operation?: string | undefined
  readonly algorithm?: string | undefined
  readonly status: number
  /** Why the request was refused, and the detail. */
  readonly reason?: string | undefined
  readonly detail?: string | number | undefined
}

/** Label values whose series exist from the start: Prometheus sees no increase if a series begins above 0. */
export interface Vocabulary {
  readonly operations: readonly string[]
  readonly statuses: readonly number[]
  /** The reasons for which a client's certificate is refused. */
  readonly refusals: readonly string[]
  readonly shedReasons: readonly string[]
  /** The reasons for which a backend takes no call. */
  readonly rejections: readonly string[]
}

/** The names in a configuration. */
export interface Names {
  readonly pools: readonly string[]
  readonly backends: readonly string[]
}

/** Seconds that Azure waits. */
const AZURE_WAITS = 0.25
const USES_OF_KEYS = ['wrapkey', 'unwrapkey']
const NOT_ALLOWED = 'CLIENT_NOT_ALLOWED'
const OTHER = 'OTHER'

/**
 * Counts for Prometheus. No label holds a value that a caller chose freely: there would be as many series as keys, and
 * strangers could create any number.
 */
export class Metrics {
  readonly #process = new ProcessMetrics()
  readonly #vocabulary: Vocabulary
  readonly #reasons: ReadonlySet<string>
  readonly #observe: () => Observed
  readonly #requests = new EventCounter(
    'ekm_requests_total',
    'Answered requests, by pool, operation and HTTP status. Status 499: the client left before the answer.',
    ['pool', 'operation', 'status'],
  )
  readonly #failures = new EventCounter(
    'ekm_failures_total',
    'Requests that were refused or failed, by pool and by the reason of the audit record.',
    ['pool', 'reason'],
  )
  readonly #slow = new EventCounter(
    'ekm_slow_requests_total',
    'Wraps and unwraps that took longer than the 250 ms that Azure waits.',
    ['pool', 'operation'],
  )
  readonly #durations = new DurationHistogram(
    'ekm_request_duration_seconds',
    'Seconds from a complete request header to the reply, by pool, operation, algorithm and HTTP status.',
    ['pool', 'operation', 'algorithm', 'status'],
  )
  readonly #calls = new DurationHistogram(
    'ekm_backend_duration_seconds',
    'Seconds that a backend took for a call, without the time in the queue. code is OK, or why the call failed.',
    ['backend', 'operation', 'code'],
  )
  readonly #authenticationFailures = new EventCounter(
    'ekm_authentication_failures_total',
    'Refused clients, by the pool that they asked for and the reason. pool is empty if there is no such pool.',
    ['pool', 'reason'],
  )
  readonly #rejected = new EventCounter(
    'ekm_rejected_total',
    'Requests that were answered with 429 and not sent to a backend, by what refused them: a backend (queue_full, too_late) or a pool (rate).',
    ['by', 'name', 'reason'],
  )
  readonly #handshakes = new EventCounter(
    'ekm_tls_handshakes_total',
    'TLS handshakes by result (full, resumed, failed), and the reason of a failure.',
    ['result', 'reason'],
  )
  readonly #shed = new EventCounter(
    'ekm_connections_shed_total',
    'Connections that the gateway closed because there were too many or they were too slow, by reason.',
    ['reason'],
  )
  readonly #hostsLost = new EventCounter(
    'ekm_hsm_hosts_lost_total',
    'HSM host processes, each with one session, that ended unexpectedly or hung.',
    ['backend'],
  )
  readonly #tokensChanged = new EventCounter(
    'ekm_hsm_tokens_changed_total',
    'Times that an HSM showed another token of the configured name.',
    ['backend'],
  )
  readonly #loginsRefused = loginsRefused()
  readonly #counters = [
    this.#requests,
    this.#failures,
    this.#slow,
    this.#durations,
    this.#calls,
    this.#authenticationFailures,
    this.#rejected,
    this.#handshakes,
    this.#shed,
    this.#hostsLost,
    this.#tokensChanged,
    this.#loginsRefused,
  ]

  /** @param observe called at each scrape */
  constructor(observe: () => Observed, vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    this.#reasons = new Set([...vocabulary.refusals, NOT_ALLOWED])
    for (const result of ['full', 'resumed']) this.#handshakes.begin(result, '')
    for (const reason of vocabulary.shedReasons) this.#shed.begin(reason)
    for (const status of vocabulary.statuses) this.#requests.begin('', '', status)
    this.#beginReasons('')
    this.#observe = observe
  }

  /** Creates the series of these names at 0, and removes those of others. */
  follow({ pools, backends }: Names): void {
    const { operations, statuses, rejections } = this.#vocabulary
    const named = [...pools, '']
    const isPool = ([pool]: readonly (string | number)[]) => named.includes(String(pool))
    const isBackend = ([backend]: readonly (string | number)[]) => backends.includes(String(backend))
    const ofPools = [this.#requests, this.#failures, this.#slow, this.#durations, this.#authenticationFailures]
    for (const counter of ofPools) counter.keep(isPool)
    for (const counter of [this.#calls, this.#hostsLost, this.#tokensChanged, this.#loginsRefused])
      counter.keep(isBackend)
    this.#rejected.keep(([by, name]) => (by === 'pool' ? pools : backends).includes(String(name)))
    for (const pool of pools) {
      for (const operation of operations) for (const status of statuses) this.#requests.begin(pool, operation, status)
      for (const operation of USES_OF_KEYS) this.#slow.begin(pool, operation)
      this.#beginReasons(pool)
      this.#rejected.begin('pool', pool, 'rate')
    }
    for (const backend of backends) {
      for (const reason of rejections) this.#rejected.begin('backend', backend, reason)
      this.#hostsLost.begin(backend)
      this.#tokensChanged.begin(backend)
      this.#loginsRefused.begin(backend)
    }
  }

  request({ pool = '', operation = '', algorithm = '', status, reason, detail }: RequestLabels, seconds: number): void {
    this.#requests.count(pool, operation, status)
    this.#durations.observe(seconds, pool, operation, algorithm, status)
    if (seconds > AZURE_WAITS && USES_OF_KEYS.includes(operation)) this.#slow.count(pool, operation)
    if (reason !== undefined) this.#failures.count(pool, reason)
    if (status === 401) this.#authenticationFailed(pool, reason === NOT_ALLOWED ? reason : String(detail))
  }

  called(backend: string, operation: string, code: string, elapsedMs: number): void {
    this.#calls.observe(elapsedMs / 1000, backend, operation, code)
  }

  rejected(by: 'backend' | 'pool', name: string, reason: string): void {
    this.#rejected.count(by, name, reason)
  }

  handshake(kind: 'full' | 'resumed'): void {
    this.#handshakes.count(kind, '')
  }

  /** @param reason the code of OpenSSL or Node.js */
  handshakeFailed(reason: string): void {
    this.#handshakes.count('failed', reason)
  }

  /** Counts a client that was refused in its handshake, so that its pool is unknown. */
  clientRefused(reason: string): void {
    this.#authenticationFailed('', reason)
  }

  shed(reason: string): void {
    this.#shed.count(reason)
  }

  hostLost(backend: string): void {
    this.#hostsLost.count(backend)
  }

  tokenChanged(backend: string): void {
    this.#tokensChanged.count(backend)
  }

  loginRefused(backend: string): void {
    this.#loginsRefused.count(backend)
  }

  /** What the history of each pool is made of. */
  poolCounts(): Promise<PoolCounts[]> {
    return poolCounts(this.#durations, this.#failures)
  }

  async snapshot(): Promise<MetricSnapshot> {
    const turns = new Turns()
    const counted: MetricData[] = []
    for (const counter of this.#counters) {
      counted.push(counter.data())
      await turns.giveWay()
    }
    const observed = this.#observe()
    const measured = await this.#process.snapshot()
    return [...counted, logLinesDropped(observed.logLinesLost), ...gaugesOf(observed), ...measured]
  }

  /** The reason can be OpenSSL's if OpenSSL itself refuses clients. */
  #authenticationFailed(pool: string, reason: string): void {
    this.#authenticationFailures.count(pool, this.#reasons.has(reason) ? reason : OTHER)
  }

  #beginReasons(pool: string): void {
    for (const reason of [...this.#reasons, OTHER]) this.#authenticationFailures.begin(pool, reason)
  }
}

export const loginsRefused = () =>
  new EventCounter(
    'ekm_logins_refused_total',
    'Logins that an HSM or a key manager refused. A few refused logins may lock the PIN.',
    ['backend'],
  )

/** The metric of one process. */
export const logLinesDropped = (value: number): MetricData => ({
  name: 'ekm_log_lines_dropped_total',
  help: 'Log lines that were lost because the log could not be written.',
  type: 'counter',
  aggregator: 'sum',
  series: new Map([['ekm_log_lines_dropped_total', [value]]]),
})
