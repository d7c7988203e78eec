import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client'
import { DurationHistogram } from './duration-histogram.ts'

/** All that one process has counted, as data that another process can be sent. */
export type MetricSnapshot = readonly object[]

/** What a request was, in words that the operator's configuration and the API bound. */
export interface RequestLabels {
  readonly pool?: string | undefined
  readonly operation?: string | undefined
  readonly algorithm?: string | undefined
  readonly status: number
}

/** What a gauge shows when somebody looks. */
export interface Observed {
  readonly backends: readonly {
    readonly name: string
    readonly up: boolean
    readonly running: number
    readonly waiting: number
    readonly connections: number
  }[]
  readonly pools: readonly { readonly name: string; readonly ready: boolean }[]
  readonly connections: { readonly allowed: number; readonly verified: number; readonly unverified: number }
  readonly logLinesDropped: number
}

/**
 * Counts for Prometheus. No label holds what a caller chose freely: a key's name or a client's would make as many series as
 * there are keys.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests = new DurationHistogram(
    'ekm_request_duration_seconds',
    'From a complete request header to the reply, by pool, operation, algorithm and HTTP status.',
    ['pool', 'operation', 'algorithm', 'status'],
  )
  readonly #calls = new DurationHistogram(
    'ekm_backend_duration_seconds',
    'What a backend took, without the wait for its turn; code is OK or why it failed.',
    ['backend', 'operation', 'code'],
  )
  readonly #rejected: Counter<'by' | 'name' | 'reason'>
  readonly #handshakes: Counter<'result' | 'reason'>
  /** Since somebody looked: prom-client takes 3 µs to count one. */
  readonly #uncounted = { full: 0, resumed: 0 }
  readonly #shed: Counter<'reason'>

  /** @param observe asked at each scrape */
  constructor(observe: () => Observed) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#rejected = new Counter({
      name: 'ekm_rejected_total',
      help: 'Requests answered with 429 and not sent to a backend: by a backend (queue_full, too_late) or a pool (rate).',
      labelNames: ['by', 'name', 'reason'],
      registers,
    })
    this.#handshakes = new Counter({
      name: 'ekm_tls_handshakes_total',
      help: 'TLS handshakes: full, resumed or failed, and why they failed.',
      labelNames: ['result', 'reason'],
      registers,
      collect: () => {
        for (const result of ['full', 'resumed'] as const) {
          this.#handshakes.inc({ result, reason: '' }, this.#uncounted[result])
          this.#uncounted[result] = 0
        }
      },
    })
    this.#shed = new Counter({
      name: 'ekm_connections_shed_total',
      help: 'Connections that were closed before or during their handshake because there were too many, or too slow.',
      labelNames: ['reason'],
      registers,
    })
    this.#gauge('ekm_backend_up', 'Whether requests reach the backend; 0 while it is down and is probed back.', 'min', {
      labels: ['backend'],
      values: () => observe().backends.map(({ name, up }) => [{ backend: name }, Number(up)]),
    })
    this.#gauge('ekm_pool_ready', 'Whether the pool can be served: its backend answers, or a proven standby.', 'min', {
      labels: ['pool'],
      values: () => observe().pools.map(({ name, ready }) => [{ pool: name }, Number(ready)]),
    })
    this.#gauge('ekm_backend_running', 'Calls to the backend that are under way.', 'sum', {
      labels: ['backend'],
      values: () => observe().backends.map(({ name, running }) => [{ backend: name }, running]),
    })
    this.#gauge('ekm_backend_queue_length', 'Calls that wait for their turn at the backend.', 'sum', {
      labels: ['backend'],
      values: () => observe().backends.map(({ name, waiting }) => [{ backend: name }, waiting]),
    })
    this.#gauge('ekm_backend_connections', 'Sessions or connections to the backend that are open.', 'sum', {
      labels: ['backend'],
      values: () => observe().backends.map(({ name, connections }) => [{ backend: name }, connections]),
    })
    this.#gauge(
      'ekm_connections',
      'Open connections: of clients that a pool allows, of others whose certificate was verified, and of all others.',
      'sum',
      {
        labels: ['client'],
        values: () => Object.entries(observe().connections).map(([client, count]) => [{ client }, count]),
      },
    )
    this.#gauge('ekm_log_lines_dropped', 'Lines that the log could not take and that it has not yet told of.', 'sum', {
      labels: [],
      values: () => [[{}, observe().logLinesDropped]],
    })
  }

  request({ pool = '', operation = '', algorithm = '', status }: RequestLabels, seconds: number): void {
    this.#requests.observe(seconds, pool, operation, algorithm, status)
  }

  called(backend: string, operation: string, code: string, elapsedMs: number): void {
    this.#calls.observe(elapsedMs / 1000, backend, operation, code)
  }

  rejected(by: 'backend' | 'pool', name: string, reason: string): void {
    this.#rejected.inc({ by, name, reason })
  }

  handshake(kind: 'full' | 'resumed'): void {
    this.#uncounted[kind] += 1
  }

  /** @param reason OpenSSL's or Node.js's code */
  handshakeFailed(reason: string): void {
    this.#handshakes.inc({ result: 'failed', reason })
  }

  shed(reason: string): void {
    this.#shed.inc({ reason })
  }

  async snapshot(): Promise<MetricSnapshot> {
    const others = await this.#registry.getMetricsAsJSON()
    return [this.#requests.toJSON(), this.#calls.toJSON(), ...others]
  }

  #gauge<Label extends string>(
    name: string,
    help: string,
    aggregator: 'sum' | 'min',
    { labels, values }: { labels: readonly Label[]; values: () => (readonly [Record<Label, string>, number])[] },
  ): void {
    new Gauge<Label>({
      name,
      help,
      aggregator,
      labelNames: labels,
      registers: [this.#registry],
      collect() {
        this.reset()
        for (const [labelled, value] of values()) this.set(labelled, value)
      },
    })
  }
}
