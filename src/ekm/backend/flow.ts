import type { AdapterError, KeyRef } from '../../../adapters/contract/index.ts'
import type { Call } from './call.ts'
import { Line } from '../../base/line.ts'

/** How much one call's duration weighs in the average. */
const WEIGHT = 0.2
/** Calls of a flow under way at once, before it is known how many the backend answers in time. */
const FIRST_WINDOW = 8
/** The part of a call's time from which on an answer is slow: a little more, and it would have been none. */
const SLOW = 0.75
/** What is left of the window when a call was slow, and when it was late; and how much at least. */
const AFTER_SLOW = { part: 0.75, least: 4 }
const AFTER_LATE = { part: 0.5, least: 1 }
/** Late calls in a row, each the only one of its flow, after which nobody is let wait for the key. */
const STUCK = 3

export type BackendOperation = 'describe' | 'wrap' | 'unwrap'

export interface Waiting {
  readonly call: Call
  readonly begin: () => void
  readonly refuse: (error: AdapterError) => void
}

/** One pool's way to a backend. */
export class Lane {
  /** Calls of the pool under way at once, at most. */
  readonly concurrency: number
  running = 0
  waiting = 0
  /** Those in which somebody waits; the first has the next turn. */
  readonly flows: Flow[] = []

  constructor(concurrency = Infinity) {
    this.concurrency = concurrency
  }
}

/**
 * The calls of one operation with one key, for one pool: how long they take, and how many of them at once the backend
 * answers in time. The window is found as TCP finds its own: wider while calls are answered well in time, narrower when
 * one was not, at most once for all that were under way together.
 */
export class Flow {
  readonly lane: Lane
  readonly operation: BackendOperation
  readonly ref: KeyRef
  /** Calls that have a place. */
  running = 0
  /** Those of them that somebody waits for. */
  #awaited = 0
  readonly waiting = new Line<Waiting>()
  #averageMs = 0
  #window = FIRST_WINDOW
  #hasShrunk = false
  #shrunkAt = -Infinity
  #lateAlone = 0

  constructor(lane: Lane, operation: BackendOperation, ref: KeyRef) {
    this.lane = lane
    this.operation = operation
    this.ref = ref
  }

  /** What a call lately took on average. */
  get averageMs(): number {
    return this.#averageMs
  }

  /** Whether one more call could be answered in time, as far as that is this flow's own affair. */
  get isOpen(): boolean {
    return this.#awaited < this.#window
  }

  /** Whether nothing is answered in time any more: one call at a time finds out when that is over. */
  get isStuck(): boolean {
    return this.#lateAlone >= STUCK
  }

  /** How long it takes until `count` calls that wait have had their turn. */
  waitMs(count: number): number {
    return (count / Math.max(1, this.#awaited)) * this.#averageMs
  }

  /** Whether a call can be expected to be answered in time that has to wait for `waitMs` more. */
  fits({ deadline }: Call, waitMs: number, now: number): boolean {
    return now + (waitMs + this.#averageMs) / SLOW <= deadline
  }

  begin(): void {
    this.running += 1
    this.#awaited += 1
    this.lane.running += 1
  }

  /** A call's end for whoever waited; its place may be taken for longer. */
  ended(): void {
    this.#awaited -= 1
  }

  /** The call ended with an answer. `start` is when the backend was asked, and `now` when it answered. */
  answered(call: Call, start: number, now: number): void {
    const elapsedMs = now - start
    if (this.isStuck) this.#forget()
    this.#lateAlone = 0
    this.#average(elapsedMs)
    if (elapsedMs > SLOW * (call.deadline - call.start)) this.#shrink(AFTER_SLOW, start, now)
    else if (this.#awaited + 1 >= this.#window) this.#window += this.#hasShrunk ? 1 / this.#window : 1
  }

  /** The call had its time and was not answered in it. */
  late(call: Call, start: number, now: number): void {
    if (this.#window === 1) this.#lateAlone += 1
    this.#average(Math.max(now - start, call.deadline - call.start))
    this.#shrink(AFTER_LATE, start, now)
  }

  /** What was learned while nothing was answered says nothing of what comes after. */
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
