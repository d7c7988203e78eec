import { AdapterError } from '../../adapters/contract/index.ts'
import type { Call } from './call.ts'
import { Line } from './line.ts'

/** How much a backend is given. */
export interface CapacityLimits {
  /** Calls under way at once. */
  readonly concurrency: number
  /** Calls of one pool that may wait for their turn. */
  readonly queue: number
}

/** Why a call was not even sent. */
export type Rejection = 'queue_full' | 'too_late'

/** How much one call's duration weighs in the average. */
const WEIGHT = 0.1

interface Waiting {
  readonly call: Call
  readonly begin: () => void
  readonly refuse: (error: AdapterError) => void
}

/** One pool's way to a backend. */
export class Lane {
  /** Calls of the pool under way at once, at most. */
  readonly concurrency: number
  running = 0
  /** In the order in which they came. */
  readonly waiting = new Line<Waiting>()

  constructor(concurrency = Infinity) {
    this.concurrency = concurrency
  }
}

/**
 * Bounds what a backend is asked at a time. What finds no room waits, and the lanes take turns, so that one pool's flood is
 * not another's delay. What could not be answered by its deadline any more is refused and never sent.
 */
export class Capacity {
  readonly #limits: CapacityLimits
  readonly #onRejection: (rejection: Rejection) => void
  /** Those in which somebody waits; the first has the next turn. */
  readonly #lanes: Lane[] = []
  #running = 0
  #waiting = 0
  /** What a call lately took on average. */
  #callMs = 0

  constructor(limits: CapacityLimits, onRejection: (rejection: Rejection) => void = () => undefined) {
    this.#limits = limits
    this.#onRejection = onRejection
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /**
   * Takes a place, which the caller must {@link Capacity.leave}: at once, or when the promise resolves. Throws or rejects
   * with `BACKEND_BUSY`, with `DEADLINE_EXCEEDED` where there is room and too little time left, or with the reason why the
   * call was stopped; then there is no place to leave.
   *
   * @param now on `performance.now()`'s clock
   */
  enter(lane: Lane, call: Call, now = performance.now()): Promise<void> | undefined {
    if (this.#hasRoom(lane) && lane.waiting.size === 0) {
      if (this.#cameTooLate(call, now)) throw new AdapterError('DEADLINE_EXCEEDED', 'too little time was left')
      this.#begin(lane)
      return undefined
    }
    if (lane.waiting.size >= this.#limits.queue) throw this.#busy('queue_full')
    const expectedMs = ((this.#waiting + 1) / this.#limits.concurrency + 1) * this.#callMs
    if (now + expectedMs > call.deadline) throw this.#busy('too_late')
    return this.#wait(lane, call)
  }

  /** @param elapsedMs how long the call took */
  leave(lane: Lane, elapsedMs: number): void {
    this.#callMs += (elapsedMs - this.#callMs) * WEIGHT
    this.#end(lane)
  }

  async #wait(lane: Lane, call: Call): Promise<void> {
    const { promise, resolve, reject } = withResolvers<void>()
    const waiting: Waiting = { call, begin: resolve, refuse: reject }
    const place = lane.waiting.join(waiting)
    if (lane.waiting.size === 1) this.#lanes.push(lane)
    this.#waiting += 1
    try {
      await call.run(promise, () => this.#end(lane))
    } finally {
      // Only a call that was stopped is still in the line.
      if (lane.waiting.leave(place)) this.#forget(lane)
    }
  }

  #forget(lane: Lane): void {
    this.#waiting -= 1
    if (lane.waiting.size === 0) this.#lanes.splice(this.#lanes.indexOf(lane), 1)
  }

  /**
   * Whether the time is gone that the backend would need, as when a body took its time. Where it would need more than a
   * call is ever given, it is asked all the same: nothing else would show that it has become faster.
   */
  #cameTooLate(call: Call, now: number): boolean {
    return now + this.#callMs > call.deadline && call.start + this.#callMs <= call.deadline
  }

  #hasRoom(lane: Lane): boolean {
    return this.#running < this.#limits.concurrency && lane.running < lane.concurrency
  }

  #begin(lane: Lane): void {
    this.#running += 1
    lane.running += 1
  }

  #end(lane: Lane): void {
    this.#running -= 1
    lane.running -= 1
    for (let full = 0; this.#running < this.#limits.concurrency;) {
      const next = this.#lanes[full]
      if (next === undefined) return
      if (this.#hasRoom(next)) this.#serve(next)
      else full += 1
    }
  }

  /** Gives one place to the first of a lane that can still be answered in time, and the lane's turn to the next. */
  #serve(lane: Lane): void {
    this.#lanes.splice(this.#lanes.indexOf(lane), 1)
    this.#lanes.push(lane)
    for (let place = lane.waiting.first; place !== undefined; place = lane.waiting.first) {
      const waiting = place.value
      lane.waiting.leave(place)
      this.#forget(lane)
      if (performance.now() + this.#callMs <= waiting.call.deadline) {
        this.#begin(lane)
        waiting.begin()
        return
      }
      waiting.refuse(this.#busy('too_late'))
    }
  }

  #busy(rejection: Rejection): AdapterError {
    this.#onRejection(rejection)
    const drainMs = (this.#waiting / this.#limits.concurrency) * this.#callMs
    return new AdapterError('BACKEND_BUSY', 'more is asked of the backend than it can do in time', {
      retryAfterSeconds: Math.max(1, Math.ceil(drainMs / 1000)),
    })
  }
}

/** `Promise.withResolvers` is not in Node.js 20. */
function withResolvers<T>() {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { promise, resolve, reject }
}
