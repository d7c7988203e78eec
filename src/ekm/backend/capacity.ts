import { AdapterError } from '../../../adapters/contract/index.ts'
import type { Call } from './call.ts'
import type { Flow, Lane, Waiting } from './flow.ts'

/** How much a backend is given. */
export interface CapacityLimits {
  /** Calls under way at once. */
  readonly concurrency: number
  /** Calls of one pool that may wait for their turn. */
  readonly queue: number
}

/** Why a call was not even sent. */
export type Rejection = 'queue_full' | 'too_late'

/**
 * How many times what stays free one pool may hold of the backend's places, and one key of what its pool may hold. So there
 * is something free for others, however many they are, without shares that an operator would have to choose. Of three places,
 * one key may have all.
 */
const LANE_PER_FREE = 3
const FLOW_PER_FREE = 2
/** The part of the places that is left to other pools by the first calls of keys too. */
const OTHERS = 1 / 8

/**
 * Bounds what a backend is asked at a time. What finds no room waits; pools take turns, and keys within a pool, so that one's
 * flood is not another's delay. What could not be answered by its deadline any more is refused and never sent.
 */
export class Capacity {
  readonly #limits: CapacityLimits
  readonly #onRejection: (rejection: Rejection) => void
  /** Those in which somebody waits; the first has the next turn. */
  readonly #lanes: Lane[] = []
  readonly #mostOfLane: number
  #running = 0
  #waiting = 0

  constructor(limits: CapacityLimits, onRejection: (rejection: Rejection) => void = () => undefined) {
    this.#limits = limits
    this.#mostOfLane = limits.concurrency - Math.floor(OTHERS * limits.concurrency)
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
   * with `BACKEND_BUSY`, with `BACKEND_UNAVAILABLE` where nothing of the flow is answered in time, with `DEADLINE_EXCEEDED`
   * where there is room and too little time left, or with the reason why the call was stopped; then there is no place to
   * leave.
   *
   * @param now on `performance.now()`'s clock
   */
  enter(flow: Flow, call: Call, now = performance.now()): Promise<void> | undefined {
    if (flow.waiting.size === 0 && this.#hasRoom(flow)) {
      if (cameTooLate(flow, call, now)) throw new AdapterError('DEADLINE_EXCEEDED', 'too little time was left')
      this.#begin(flow)
      return undefined
    }
    if (flow.isStuck) throw this.#refusal('too_late', flow)
    const freeInLine = this.#limits.queue - flow.lane.waiting
    if (freeInLine <= 0 || flow.waiting.size > FLOW_PER_FREE * freeInLine) throw this.#refusal('queue_full', flow)
    if (!flow.fits(call, flow.waitMs(flow.waiting.size + 1), now)) throw this.#refusal('too_late', flow)
    return this.#wait(flow, call)
  }

  /** Frees the place of a call that the backend has let go of. */
  leave(flow: Flow): void {
    this.#running -= 1
    flow.running -= 1
    flow.lane.running -= 1
    this.serve()
  }

  /** Gives what is free to those that wait. */
  serve(): void {
    if (this.#waiting === 0) return
    for (let flow = this.#next(); flow !== undefined; flow = this.#next()) this.#serve(flow)
  }

  async #wait(flow: Flow, call: Call): Promise<void> {
    const { promise, resolve, reject } = withResolvers<void>()
    const place = flow.waiting.join({ call, begin: resolve, refuse: reject })
    if (flow.waiting.size === 1) flow.lane.flows.push(flow)
    if (flow.lane.flows.length === 1 && flow.waiting.size === 1) this.#lanes.push(flow.lane)
    flow.lane.waiting += 1
    this.#waiting += 1
    try {
      await call.run(promise, () => {
        flow.ended()
        this.leave(flow)
      })
    } catch (error) {
      // Only a call that was stopped is still in the line.
      if (!flow.waiting.leave(place)) throw error
      this.#forget(flow)
      throw isLate(error) ? this.#refusal('too_late', flow) : error
    }
  }

  #forget(flow: Flow): void {
    const { lane } = flow
    this.#waiting -= 1
    lane.waiting -= 1
    if (flow.waiting.size === 0) lane.flows.splice(lane.flows.indexOf(flow), 1)
    if (lane.flows.length === 0) this.#lanes.splice(this.#lanes.indexOf(lane), 1)
  }

  #hasRoom(flow: Flow): boolean {
    const { lane } = flow
    const free = Math.min(this.#limits.concurrency - this.#running, lane.concurrency - lane.running)
    if (free <= 0 || !flow.isOpen) return false
    if (flow.running === 0) return lane.running < this.#mostOfLane
    return flow.running <= FLOW_PER_FREE * Math.min(free, this.#shareOf(lane))
  }

  /** How many calls more a lane may have under way of keys that have some already. */
  #shareOf({ running }: Lane): number {
    const free = this.#limits.concurrency - this.#running
    return Math.ceil((LANE_PER_FREE * free - running) / (LANE_PER_FREE + 1))
  }

  #begin(flow: Flow): void {
    this.#running += 1
    flow.begin()
  }

  /** Whose turn it is of those that have room. */
  #next(): Flow | undefined {
    if (this.#running >= this.#limits.concurrency) return undefined
    for (const lane of this.#lanes) {
      const flow = lane.flows.find((one) => this.#hasRoom(one))
      if (flow !== undefined) return flow
    }
    return undefined
  }

  /** Gives one place to the first that can still be answered in time, and the next turn to others. */
  #serve(flow: Flow): void {
    toTheEnd(this.#lanes, flow.lane)
    toTheEnd(flow.lane.flows, flow)
    for (let place = flow.waiting.first; place !== undefined; place = flow.waiting.first) {
      const waiting: Waiting = place.value
      flow.waiting.leave(place)
      this.#forget(flow)
      if (flow.fits(waiting.call, 0, performance.now())) {
        this.#begin(flow)
        waiting.begin()
        return
      }
      waiting.refuse(this.#refusal('too_late', flow))
    }
  }

  #refusal(rejection: Rejection, flow: Flow): AdapterError {
    if (flow.isStuck) return new AdapterError('BACKEND_UNAVAILABLE', 'the last calls with this key were not answered')
    this.#onRejection(rejection)
    return new AdapterError('BACKEND_BUSY', 'more is asked of the backend than it can do in time', {
      retryAfterSeconds: Math.max(1, Math.ceil(flow.waitMs(flow.waiting.size) / 1000)),
    })
  }
}

const isLate = (error: unknown) => error instanceof AdapterError && error.code === 'DEADLINE_EXCEEDED'

/**
 * Whether the time is gone that the backend would need, because the client took most of it. Where the backend would need more
 * than a call is ever given, it is asked all the same: nothing else would show that it has become faster.
 */
function cameTooLate({ averageMs }: Flow, { start, deadline }: Call, now: number): boolean {
  return now + averageMs > deadline && now - start > (deadline - start) / 2 && start + averageMs <= deadline
}

function toTheEnd<T>(values: T[], value: T): void {
  values.splice(values.indexOf(value), 1)
  values.push(value)
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
