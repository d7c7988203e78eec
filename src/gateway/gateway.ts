import type { Config } from '../config/schema.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Lesson } from '../tls/lesson.ts'
import type { RefusedLogins } from './refused-logins.ts'
import type { ProcessReport } from './report.ts'
import type { Share } from './share.ts'
import type { GatewayStatus } from './status.ts'

/** Another configuration with everything open and ready. Exactly one of the two functions must be called. */
export interface Prepared {
  /** The names of the settings that differ. */
  readonly changed: readonly string[]
  /** Serves by it from the next request on. */
  commit(): void
  /** Closes what was opened for it. */
  abort(): Promise<void>
}

/** A running gateway. */
export interface Gateway {
  /** The port it listens on. If the configured port is 0, the system chose it. */
  readonly port: number
  readonly log: Log
  /** The configuration it serves by. */
  readonly config: Config
  readonly requestsUnderWay: number
  readonly metrics: Metrics
  status(): GatewayStatus
  /** In more detail, for people. */
  report(): Promise<ProcessReport>
  /**
   * Prepares to serve by another configuration, while it serves by the present one. One at a time.
   * @throws OperatorError, and nothing has changed
   */
  prepare(config: Config): Promise<Prepared>
  /** Called with what other processes of the same gateway should learn about clients. */
  onLesson: ((lesson: Lesson) => void) | undefined
  /** Takes over what another process learned. */
  learn(lesson: Lesson): void
  /**
   * Tries once more to open backends that could not be reached at start, except those in `except`.
   * @returns the names of those that no further attempt can help
   */
  openAway(except?: readonly string[]): Promise<readonly string[]>
  /**
   * Has {@link Gateway.openAway} try again what no attempt could help, once each. A login that was refused is not made
   * again.
   */
  reconsiderAway(): void
  /** Is no longer ready but keeps serving. Each connection ends with its next reply. */
  retire(): void
  /**
   * Retires, refuses new connections, ends idle ones, waits for running requests as long as the configuration allows,
   * and closes everything.
   * @returns how many requests were cut off
   */
  drain(): Promise<number>
}

export interface GatewayOptions {
  /** This process's share of what the configuration allows. */
  readonly share?: Share
  /** The keys of TLS session tickets, if the configuration names none. By default random. */
  readonly ticketKeys?: Buffer
  /** What is known of refused logins. By default nothing. */
  readonly logins?: RefusedLogins
  /** Whether to log the start and the end. One of several processes does. */
  readonly announce?: boolean
}
