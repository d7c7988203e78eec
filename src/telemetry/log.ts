import { pino, stdTimeFunctions } from 'pino'
import { OperatorError, systemCode, type Report } from '../../adapters/contract/index.ts'
import { visible } from '../base/visible.ts'
import type { LogLevel } from './log-levels.ts'
import type { LogFields } from './log-fields.ts'
import { LogSink, type LogDestination } from './sink.ts'

export type { LogFields } from './log-fields.ts'

/** The operator's log: one JSON object a line. */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /** Writes at every level. `fields` must not change afterwards. */
  always(event: string, fields: LogFields): void
  /** Lines that were lost and have not been reported in the log yet. */
  readonly dropped: number
  /** Lines that were lost since the log was opened. */
  readonly lost: number
  close(): Promise<void>
}

/** A log that also takes lines from another process of the gateway. */
export interface RelayLog extends Log {
  /** @param text whole lines */
  relay(text: string, lines: number): void
}

export interface LogOptions {
  readonly level: LogLevel
  readonly destination: LogDestination
}

const CLOSE_PATIENCE_MS = 1000

/** @throws OperatorError if the destination cannot be written to */
export async function openLog({ level, destination }: LogOptions): Promise<RelayLog> {
  const sink = await LogSink.open(destination, (lines) => {
    const time = new Date().toISOString()
    return JSON.stringify({ level: 'error', time, event: 'log_lines_dropped', lines }) + '\n'
  }).catch((error: unknown) => {
    const message = `the log cannot be written to ${destination} (${systemCode(error)})`
    throw new OperatorError('LOG_UNWRITABLE', message, { transient: true })
  })
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: visible },
    },
    sink,
  )
  return {
    error: (event, fields) => logger.error({ event, ...fields }),
    warn: (event, fields) => logger.warn({ event, ...fields }),
    info: (event, fields) => logger.info({ event, ...fields }),
    debug: (event, fields) => logger.debug({ event, ...fields }),
    always: (event, fields) => sink.write(new UnwrittenLine(event, fields)),
    get dropped() {
      return sink.dropped
    },
    get lost() {
      return sink.lost
    },
    relay: (text, lines) => sink.write(text, lines),
    close: () => sink.close(CLOSE_PATIENCE_MS),
  }
}

/**
 * A line that becomes text together with the lines that are written with it. There is one for each request. Made at
 * once, it would leave 0.88 × of the wraps for each second of CPU, and made by pino 0.81 × (docs/adr/0011).
 */
class UnwrittenLine {
  /** The approximate length of the text. */
  readonly length = 512
  readonly #time = new Date()
  readonly #event: string
  readonly #fields: LogFields

  constructor(event: string, fields: LogFields) {
    this.#event = event
    this.#fields = fields
  }

  toString(): string {
    const line = { level: 'info', time: this.#time, event: this.#event, ...this.#fields }
    return visible(JSON.stringify(line)) + '\n'
  }
}

/** The log as an adapter sees it. */
export const reportTo =
  (log: Pick<Log, 'info' | 'warn' | 'error'>, backend: string): Report =>
  (level, event, fields) =>
    log[level](event, { backend, ...fields })
