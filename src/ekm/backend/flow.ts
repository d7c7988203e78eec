import type { AdapterError, KeyRef } from '../../../adapters/contract/index.ts'
import type { Call } from './call.ts'
import { Queue } from '../../base/queue.ts'

/** The weight of one call's duration in the average. */
const WEIGHT = 0.2
/** How many calls of a flow may be under way, before it is known how many the backend answers in time. */
const FIRST_WINDOW = 8
/** The share of a call's time above which an answer counts as slow: a little later there would have been none. */
const SLOW = 0.75
/** The factor and the minimum for the window after a slow call, and after a late call. */
const AFTER_SLOW = { part: 0.75, least: 4 }
const AFTER_LATE = { part: 0.5, least: 1 }
/** A key that answers nothing for longer is at fault, however late the gateway itself was. */
const OWN_FAULT_MS = 1000
/** After this many late calls in a row, each the only one of its flow, no call waits for the key. */
const STUCK = 3

export type BackendOperation = 'describe' | 'wrap' | 'unwrap'

export interface Waiting {
  readonly call: Call
  readonly begin: () => void
  readonly refuse: (error: AdapterError) => void
}

/** The calls of one pool to a backend. */
export class PoolFlows {
  /** The most calls of the pool under way at a time. */
  readonly concurrency: number
  running = 0
  waiting = 0
  /** Flows with queued calls. The first has the next turn. */
  readonly flows: Flow[] = []

  constructor(concurrency = Infinity) {
    this.concurrency = concurrency
  }
}

/**
 * The calls of one operation with one key, for one pool: how long they take, and how many at a time the backend answers
 * in time. The window adapts like TCP's: it grows while calls are answered well in time, and shrinks after a call that
 * was not, at most once for all calls that were under way together.
 */
export class Flow {
  readonly pool: PoolFlows
  readonly operation: BackendOperation
  readonly ref: KeyRef
  /** Calls that have a place. */
  running = 0
  /** Calls that have a place and a waiting caller. */
  #awaited = 0
  readonly waiting = new Queue<Waiting>()
  #averageMs = 0
  #window = FIRST_WINDOW
  #hasShrunk = false
  #shrunkAt = -Infinity
  #lateAlone = 0
  /** When the first call since the last answer was late. */
  #silentSince: number | undefined

  constructor(pool: PoolFlows, operation: BackendOperation, ref: KeyRef) {
    this.pool = pool
    this.operation = operation
    this.ref = ref
  }

  /** The recent average duration of a call in milliseconds. */
  get averageMs(): number {
    return this.#averageMs
  }

  /** Whether one more call could be answered in time, as far as this flow knows. */
  get isOpen(): boolean {
    return this.#awaited < this.#window
  }

  /** True if no call is answered in time any more. One call at a time finds out when that is over. */
  get isStuck(): boolean {
    return this.#lateAlone >= STUCK
  }

  /** Milliseconds until `count` queued calls have had their turn. */
  waitMs(count: number): number {
    return (count / Math.max(1, this.#awaited)) * this.#averageMs
  }

  /** Whether a call can be expected to be answered in time if it waits `waitMs` milliseconds more. */
  fits({ deadline }: Call, waitMs: number, now: number): boolean {
    return now + (waitMs + this.#averageMs) / SLOW <= deadline
  }

  begin(): void {
    this.running += 1
    this.#awaited += 1
    this.pool.running += 1
  }

  /** Records that nobody waits for the call any more. Its place may be taken for longer. */
  ended(): void {
    this.#awaited -= 1
  }

  /**
   * Records that the call was answered at `now`, or earlier if the gateway was late to see it. The backend was asked at
   * `start`.
   */
  answered(call: Call, start: number, now: number): void {
    const elapsedMs = now - start
    if (this.isStuck) this.#forget()
    this.#lateAlone = 0
    this.#silentSince = undefined
    this.#average(elapsedMs)
    if (elapsedMs > SLOW * (call.deadline - call.start)) this.#shrink(AFTER_SLOW, start, now)
    else if (this.#awaited + 1 >= this.#window) this.#window += this.#hasShrunk ? 1 / this.#window : 1
  }

  /** Records that the call was not answered within its time: not by `now`, since when the gateway has seen nothing. */
  late(call: Call, start: number, now: number): void {
    this.#silentSince ??= now
    const isOwnFault = now - call.start < SLOW * (call.deadline - call.start)
    if (isOwnFault && now - this.#silentSince < OWN_FAULT_MS) return
    if (this.#window === 1) this.#lateAlone += 1
    this.#average(Math.max(now - start, call.deadline - call.start))
    this.#shrink(AFTER_LATE, start, now)
  }

  /** What was learned while nothing was answered is no guide to what follows. */
  #forget(): void {
    this.#averageMs = 0
    this.#window = FIRST_WINDOW
    this.#hasShrunk = false
  }

  #average(elapsedMs: number): void {
    this.#averageMs += (elapsedMs - this.#averageMs) * (this.#averageMs === 0 ? 1 : WEIGHT)
  }

  #shrink({ part, least }: typeof AFTER_SLOW, start: number, now: number): void {
    if (start < this.#shrunkAt) return
    this.#hasShrunk = true
    this.#shrunkAt = now
    this.#window = Math.min(this.#window, Math.max(least, this.#window * part))
  }
}
