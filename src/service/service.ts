import type { Config } from '../config/schema.ts'
import type { Variables } from '../settings/variables.ts'
import type { Log } from '../telemetry/log.ts'
import type { ServiceEvents } from '../telemetry/service-metrics.ts'
import type { CertificateDaysLeft, ListDaysLeft, PoolGaps } from '../tls/expiry.ts'
import type { LoadedConfig, ReloadCause } from './reload.ts'
import type { Answers } from './workers/messages.ts'

/** The whole gateway, in one process or several, as its operator and the admin port see it. */
export interface Service {
  readonly port: number
  readonly log: Log
  /** The configuration it serves by. */
  readonly config: Config
  /** Processes that should serve. */
  readonly workers: number
  readonly draining: boolean
  /** Asks every process that serves. A process that does not answer within `patienceMs` milliseconds is left out. */
  collect<Question extends keyof Answers>(question: Question, patienceMs?: number): Promise<Answers[Question][]>
  certificateDaysLeft(): CertificateDaysLeft[]
  listDaysLeft(): ListDaysLeft[]
  listGaps(): readonly PoolGaps[]
  /** Events of the gateway as a whole. */
  readonly events: ServiceEvents
  /** The number of log lines lost by a process that serves no requests. */
  logLinesLost(): number
  /**
   * Reloads the configuration.
   * @returns whether the new one is in use; the log says why not
   */
  reload(cause: ReloadCause): Promise<boolean>
  /** Like {@link Gateway.retire}, in every process. */
  retire(): Promise<void>
  /** Like {@link Gateway.drain}, in every process. */
  drain(): Promise<number>
}

/** What a service starts with. */
export interface Start {
  readonly file: string
  readonly variables: Variables
  readonly loaded: LoadedConfig
}
