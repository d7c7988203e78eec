import { pino } from 'pino'
import { OperatorError, systemCode, type Report } from '../../adapters/contract/index.ts'
import { visible } from '../base/visible.ts'
import type { LogLevel } from './log-levels.ts'
import { membersOf, type LogFields } from './members.ts'
import { LogSink, type LogDestination } from './sink.ts'

export type { LogFields } from './members.ts'

/** The operator's log: one JSON object a line. */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /**
   * Writes at every level. `fields` must not change afterwards.
   *
   * @param common further fields that many lines share; their text is kept as long as the object lives
   * @param toText converts `fields` to text; by default {@link membersOf}
   */
  always<Fields extends LogFields>(
    event: string,
    fields: Fields,
    common?: LogFields,
    toText?: (fields: Fields) => string,
  ): void
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
const none: LogFields = {}

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
      timestamp: () => `,"time":"${isoTime()}"`,
      formatters: { level: (label) => ({ level: label }) },
      hooks: { streamWrite: visible },
    },
    sink,
  )
  const beginningOf = rememberedBeginnings()
  return {
    error: (event, fields) => logger.error({ event, ...fields }),
    warn: (event, fields) => logger.warn({ event, ...fields }),
    info: (event, fields) => logger.info({ event, ...fields }),
    debug: (event, fields) => logger.debug({ event, ...fields }),
    always: (event, fields, common = none, toText = membersOf) =>
      sink.write(new UnwrittenLine(beginningOf(event, common), fields, toText)),
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

/** Returns what a line begins with after its time. It is made once for each event and object of common fields. */
function rememberedBeginnings(): (event: string, common: LogFields) => string {
  const beginnings = new Map<string, WeakMap<LogFields, string>>()
  return (event, common) => {
    let known = beginnings.get(event)
    if (known === undefined) beginnings.set(event, (known = new WeakMap()))
    let beginning = known.get(common)
    if (beginning === undefined) known.set(common, (beginning = membersOf({ event, ...common })))
    return beginning
  }
}

/**
 * A line that becomes text together with the lines that are written with it. There is one for each request. Lines that
 * are made together take half the time of lines that are made between requests, and a quarter of pino's time there.
 */
class UnwrittenLine<Fields extends LogFields> {
  /** The approximate length of the text. */
  readonly length = 512
  readonly #ms = Date.now()
  readonly #beginning: string
  readonly #fields: Fields
  readonly #toText: (fields: Fields) => string

  constructor(beginning: string, fields: Fields, toText: (fields: Fields) => string) {
    this.#beginning = beginning
    this.#fields = fields
    this.#toText = toText
  }

  toString(): string {
    const members = this.#toText(this.#fields)
    const separator = members === '' ? '' : ','
    return `{"level":"info","time":"${isoTime(this.#ms)}",${this.#beginning}${separator}${members}}\n`
  }
}

let lastMs = 0
let lastTime = ''

/** A time in ISO 8601. It is cached, because many lines are written in the same millisecond. */
function isoTime(ms = Date.now()): string {
  if (ms !== lastMs) {
    lastMs = ms
    lastTime = new Date(ms).toISOString()
  }
  return lastTime
}

/** The log as an adapter sees it. */
export const reportTo =
  (log: Pick<Log, 'info' | 'warn' | 'error'>, backend: string): Report =>
  (level, event, fields) =>
    log[level](event, { backend, ...fields })
