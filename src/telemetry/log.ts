import { pino } from 'pino'
import { OperatorError, systemCode, type Report } from '../../adapters/contract/index.ts'
import { visible } from '../base/visible.ts'
import { LogSink, type LogDestination } from './sink.ts'

export const logLevels = ['error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof logLevels)[number]

/** Scalars only: nothing that could carry a request's body, a buffer or a key is assignable. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** The operator's log: one JSON object a line. */
export interface Log {
  error(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  debug(event: string, fields?: LogFields): void
  /**
   * Writes whatever the level. `fields` must not change any more.
   *
   * @param common further fields that many lines have: they are kept as text for as long as the object lives
   * @param toText makes text of `fields` as {@link membersOf} does, which is the default
   */
  always<Fields extends LogFields>(
    event: string,
    fields: Fields,
    common?: LogFields,
    toText?: (fields: Fields) => string,
  ): void
  /** Lines that were lost and that the log does not yet tell of. */
  readonly dropped: number
  close(): Promise<void>
}

/** A log that also takes lines that another process of the gateway wrote. */
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

/** Rejects with an {@link OperatorError} if the destination cannot be written to. */
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
  /** By the fields that lines have in common: how those lines begin, after the time. */
  const beginnings = new Map<string, WeakMap<LogFields, string>>()
  const beginningOf = (event: string, common: LogFields) => {
    let known = beginnings.get(event)
    if (known === undefined) beginnings.set(event, (known = new WeakMap()))
    let beginning = known.get(common)
    if (beginning === undefined) known.set(common, (beginning = membersOf({ event, ...common })))
    return beginning
  }
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
    relay: (text, lines) => sink.write(text, lines),
    close: () => sink.close(CLOSE_PATIENCE_MS),
  }
}

/**
 * A line that becomes text with those that are written with it. There is one for each request: made one after the other
 * they take half as long as in the midst of requests, and there pino would take twice as long.
 */
class UnwrittenLine<Fields extends LogFields> {
  /** About as long as it will be. */
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

/** An object's JSON, without its braces. */
export const membersOf = (fields: LogFields): string => visible(JSON.stringify(fields)).slice(1, -1)

let lastMs = 0
let lastTime = ''

/** A time as ISO 8601 has it: many lines are written in the same millisecond. */
function isoTime(ms = Date.now()): string {
  if (ms !== lastMs) {
    lastMs = ms
    lastTime = new Date(ms).toISOString()
  }
  return lastTime
}

/** The log as an adapter sees it. */
export const reportTo =
  (log: Log, backend: string): Report =>
  (level, event, fields) =>
    log[level](event, { backend, ...fields })

/**
 * What may be told of an error that nobody expected. Its message is left out, and with it the first lines of the stack: it
 * can quote the value that the code tripped over, as `JSON.parse` does.
 */
export function describeBug(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error }
  const { message, stack = '' } = error
  const start = stack.indexOf(message)
  const frames = start === -1 ? [] : stack.slice(start + message.length).split('\n')
  return {
    error: error.name,
    error_code: 'code' in error && typeof error.code === 'string' ? error.code : undefined,
    stack: frames
      .filter((line) => /^\s+at /.test(line))
      .map((line) => line.trim())
      .join(' | '),
  }
}
