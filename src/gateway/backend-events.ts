import { visible } from '../base/visible.ts'
import { cut } from '../telemetry/audit.ts'
import type { Log, LogFields } from '../telemetry/log.ts'

/** Of each backend. One takes about 700 bytes at most. */
const KEPT = 8

/** Something that happened to a backend, as the log tells it. */
export interface BackendEvent {
  /** When it happened last, in milliseconds since the epoch. */
  readonly at: number
  readonly level: 'info' | 'warn' | 'error'
  readonly event: string
  /** The other fields of its line. */
  readonly text: string
  /** How often it happened in a row. */
  readonly times: number
}

type Writer = Pick<Log, BackendEvent['level']>

/** What happened to each backend last, for who looks now and has not followed the log. */
export class BackendEvents {
  readonly #events = new Map<string, BackendEvent[]>()
  readonly #downSince = new Map<string, number>()

  /** A log that also remembers what it is told of `backend`. */
  watching(backend: string, log: Writer): Writer {
    const note = (level: BackendEvent['level']) => (event: string, fields?: LogFields) => {
      log[level](event, fields)
      this.#note(backend, level, event, fields)
    }
    return { info: note('info'), warn: note('warn'), error: note('error') }
  }

  /** The latest first. */
  of(backend: string): readonly BackendEvent[] {
    return [...(this.#events.get(backend) ?? [])].reverse()
  }

  /** Since when it is down; undefined where it is not. */
  downSince(backend: string): number | undefined {
    return this.#downSince.get(backend)
  }

  /** Forgets what the configuration does not name any more. */
  follow(backends: readonly string[]): void {
    for (const backend of this.#events.keys()) if (!backends.includes(backend)) this.#events.delete(backend)
    for (const backend of this.#downSince.keys()) if (!backends.includes(backend)) this.#downSince.delete(backend)
  }

  #note(backend: string, level: BackendEvent['level'], event: string, fields: LogFields = {}): void {
    const at = Date.now()
    if (event === 'backend_down' || event === 'backend_away') this.#downSince.set(backend, at)
    if (event === 'backend_up' || event === 'backend_open') this.#downSince.delete(backend)
    const known = Object.entries(fields).filter(([name, value]) => name !== 'backend' && value !== undefined)
    const text = cut(visible(known.map(([name, value]) => `${name}: ${value}`).join(', ')))
    const events = this.#events.get(backend) ?? []
    const last = events.at(-1)
    if (last?.event === event && last.text === text) events.pop()
    const times = last?.event === event && last.text === text ? last.times + 1 : 1
    events.push({ at, level, event, text, times })
    if (events.length > KEPT) events.shift()
    this.#events.set(backend, events)
  }
}
