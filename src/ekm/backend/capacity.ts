import { AdapterError } from '../../../adapters/contract/index.ts'
import type { Call } from './call.ts'
import type { Flow, PoolFlows, Waiting } from './flow.ts'

/** How many calls a backend gets. */
export interface CapacityLimits {
  /** The most calls that the backend gets at a time. */
  readonly concurrency: number
  /** The most calls of one pool that may queue. */
  readonly queue: number
}

/** Why a call was not sent. */
export const rejections = ['queue_full', 'too_late'] as const
export type Rejection = (typeof rejections)[number]

/**
 * One pool may hold at most this many times the places that stay free, and one key this many times what its pool leaves
 * free. So some places are free for others, however many others there are, and an operator need not choose shares. Of
 * three places, one key may hold all.
 */
const POOL_PER_FREE = 3
const FLOW_PER_FREE = 2
/** The share of the places that is reserved for other pools, even from the first calls of keys. */
const OTHERS = 1 / 8

/**
 * Bounds the calls that a backend gets at a time. Excess calls queue. Pools are served round-robin, and so are the keys
 * of a pool, so that a flood on one does not delay another. A call that could not be answered by its deadline is
 * refused without being sent.
 */
export class Capacity {
  readonly #limits: CapacityLimits
  readonly #onRejection: (rejection: Rejection) => void
  /** Pools with queued calls. The first has the next turn. */
  readonly #pools: PoolFlows[] = []
  readonly #mostOfPool: number
  #running = 0
  #waiting = 0

  constructor(limits: CapacityLimits, onRejection: (rejection: Rejection) => void = () => undefined) {
    this.#limits = limits
    this.#mostOfPool = limits.concurrency - Math.floor(OTHERS * limits.concurrency)
    this.#onRejection = onRejection
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /**
   * Takes a place: at once, or when the promise resolves. The caller must {@link Capacity.leave} it. After an error
   * there is no place to leave.
   *
   * @param now on `performance.now()`'s clock
   * @throws AdapterError `BACKEND_BUSY`; `BACKEND_UNAVAILABLE` if no call of the flow is answered in time;
   *   `DEADLINE_EXCEEDED` if there is room but too little time left; or the reason why the call was stopped
   */
  enter(flow: Flow, call: Call, now = performance.now()): Promise<void> | undefined {
    if (flow.waiting.size === 0 && this.#hasRoom(flow)) {
      if (cameTooLate(flow, call, now))
        throw new AdapterError('DEADLINE_EXCEEDED', 'too little time is left before the deadline')
      this.#begin(flow)
      return undefined
    }
    if (flow.isStuck) throw this.#refusal('too_late', flow)
    const freeInQueue = this.#limits.queue - flow.pool.waiting
    if (freeInQueue <= 0 || flow.waiting.size > FLOW_PER_FREE * freeInQueue) throw this.#refusal('queue_full', flow)
    if (!flow.fits(call, flow.waitMs(flow.waiting.size + 1), now)) throw this.#refusal('too_late', flow)
    return this.#wait(flow, call)
  }

  /** Frees the place of a call that the backend has finished. */
  leave(flow: Flow): void {
    this.#running -= 1
    flow.running -= 1
    flow.pool.running -= 1
    this.serve()
  }

  /** Gives free places to queued calls. */
  serve(): void {
    if (this.#waiting === 0) return
    for (let flow = this.#next(); flow !== undefined; flow = this.#next()) this.#serve(flow)
  }

  async #wait(flow: Flow, call: Call): Promise<void> {
    const { promise, resolve, reject } = withResolvers<void>()
    const place = flow.waiting.join({ call, begin: resolve, refuse: reject })
    if (flow.waiting.size === 1) flow.pool.flows.push(flow)
    if (flow.pool.flows.length === 1 && flow.waiting.size === 1) this.#pools.push(flow.pool)
    flow.pool.waiting += 1
    this.#waiting += 1
    try {
      await call.run(promise, () => {
        flow.ended()
        this.leave(flow)
      })
    } catch (error) {
      // Only a call that was stopped is still in the queue.
      if (!flow.waiting.leave(place)) throw error
      this.#forget(flow)
      throw isLate(error) ? this.#refusal('too_late', flow) : error
    }
  }

  #forget(flow: Flow): void {
    const { pool } = flow
    this.#waiting -= 1
    pool.waiting -= 1
    if (flow.waiting.size === 0) pool.flows.splice(pool.flows.indexOf(flow), 1)
    if (pool.flows.length === 0) this.#pools.splice(this.#pools.indexOf(pool), 1)
  }

  #hasRoom(flow: Flow): boolean {
    const { pool } = flow
    const free = Math.min(this.#limits.concurrency - this.#running, pool.concurrency - pool.running)
    if (free <= 0 || !flow.isOpen) return false
    if (flow.running === 0) return pool.running < this.#mostOfPool
    return flow.running <= FLOW_PER_FREE * Math.min(free, this.#shareOf(pool))
  }

  /** How many more calls a pool may have under way with keys that have some already. */
  #shareOf({ running }: PoolFlows): number {
    const free = this.#limits.concurrency - this.#running
    return Math.ceil((POOL_PER_FREE * free - running) / (POOL_PER_FREE + 1))
  }

  #begin(flow: Flow): void {
    this.#running += 1
    flow.begin()
  }

  /** The flow whose turn it is, among those that have room. */
  #next(): Flow | undefined {
    if (this.#running >= this.#limits.concurrency) return undefined
    for (const pool of this.#pools) {
      const flow = pool.flows.find((one) => this.#hasRoom(one))
      if (flow !== undefined) return flow
    }
    return undefined
  }

  /** Gives one place to the flow's first call that can still be answered in time. The next turn is another's. */
  #serve(flow: Flow): void {
    toTheEnd(this.#pools, flow.pool)
    toTheEnd(flow.pool.flows, flow)
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
    if (flow.isStuck)
      return new AdapterError('BACKEND_UNAVAILABLE', 'the backend did not answer the last calls with this key')
    this.#onRejection(rejection)
    return new AdapterError('BACKEND_BUSY', 'the backend cannot answer all queued calls in time', {
      retryAfterSeconds: Math.max(1, Math.ceil(flow.waitMs(flow.waiting.size) / 1000)),
    })
  }
}

const isLate = (error: unknown) => error instanceof AdapterError && error.code === 'DEADLINE_EXCEEDED'

/**
 * True if the client has used up the time that the backend would need. A backend that would need more than any call
 * gets is asked nevertheless: only that can show that it has become faster.
 */
function cameTooLate({ averageMs }: Flow, { start, deadline }: Call, now: number): boolean {
  return now + averageMs > deadline && now - start > (deadline - start) / 2 && start + averageMs <= deadline
}

function toTheEnd<T>(values: T[], value: T): void {
  values.splice(values.indexOf(value), 1)
  values.push(value)
}

/** Node.js 20 does not have `Promise.withResolvers`. */
function withResolvers<T>() {
  let resolve!: (value: T) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((fulfil, refuse) => {
    resolve = fulfil
    reject = refuse
  })
  return { promise, resolve, reject }
}
