import type { Log } from '../telemetry/log.ts'
import type { ShedReason } from './stranger.ts'

const REPORT_MS = 10_000

/** Tells of connections that were closed unheard: each to the metrics, and a number of them to the log. */
export class ShedReport {
  readonly #log: Log
  readonly #events: { shed(reason: ShedReason): void } | undefined
  #connections = 0

  constructor(log: Log, events: { shed(reason: ShedReason): void } | undefined) {
    this.#log = log
    this.#events = events
  }

  /** In a flood, a line for each connection would be a flood of its own. */
  note(reason: ShedReason): void {
    this.#events?.shed(reason)
    // It is a port probe, or a balancer's check.
    if (reason === 'silent') return
    if (this.#connections === 0) setTimeout(() => this.#report(), REPORT_MS).unref()
    this.#connections += 1
  }

  #report(): void {
    this.#log.warn('connections_shed', { connections: this.#connections })
    this.#connections = 0
  }
}
