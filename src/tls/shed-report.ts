import type { Log } from '../telemetry/log.ts'
import type { ShedReason } from './stranger.ts'

const REPORT_MS = 10_000

/** Reports connections that the gate closed: each to the metrics, and summaries to the log. */
export class ShedReport {
  readonly #log: Log
  readonly #events: { shed(reason: ShedReason): void } | undefined
  #connections = 0

  constructor(log: Log, events: { shed(reason: ShedReason): void } | undefined) {
    this.#log = log
    this.#events = events
  }

  /** During a flood, a log line for each connection would be a flood itself. */
  note(reason: ShedReason): void {
    this.#events?.shed(reason)
    // A silent connection is a port probe or a balancer's check.
    if (reason === 'silent') return
    if (this.#connections === 0) setTimeout(() => this.#report(), REPORT_MS).unref()
    this.#connections += 1
  }

  #report(): void {
    this.#log.warn('connections_shed', { connections: this.#connections })
    this.#connections = 0
  }
}
