import { vi } from 'vitest'

interface Timer {
  readonly call: () => void
  readonly everyMs: number | undefined
  at: number
  ref(): Timer
  unref(): Timer
  hasRef(): boolean
}

/** Timers and `performance.now()` of a test that passes hours in a moment, in the same way each time. */
export class SimulatedTime {
  #now = 0
  readonly #timers = new Set<Timer>()
  readonly #turn = setImmediate

  constructor() {
    vi.spyOn(performance, 'now').mockImplementation(() => this.#now)
    vi.stubGlobal('setTimeout', (call: () => void, ms?: number) => this.#add(call, ms))
    vi.stubGlobal('setInterval', (call: () => void, ms?: number) => this.#add(call, ms, ms))
    for (const name of ['clearTimeout', 'clearInterval']) {
      vi.stubGlobal(name, (timer: Timer | undefined) => timer !== undefined && this.#timers.delete(timer))
    }
  }

  get now(): number {
    return this.#now
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.#add(() => resolve(), ms))
  }

  /** Lets this many milliseconds pass. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      // Promises and ticks take no time.
      for (let turns = 0; turns < 2; turns += 1) await new Promise((resolve) => this.#turn(resolve))
      const next = this.#next()
      if (next === undefined || next.at > end) break
      this.#now = Math.max(this.#now, next.at)
      if (next.everyMs === undefined) this.#timers.delete(next)
      else next.at = this.#now + next.everyMs
      next.call()
    }
    this.#now = end
  }

  restore(): void {
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
  }

  /** The earliest; of several, the oldest. */
  #next(): Timer | undefined {
    let next: Timer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer
    return next
  }

  #add(call: () => void, ms = 0, everyMs?: number): Timer {
    const timer: Timer = {
      call,
      everyMs,
      at: this.#now + Math.max(0, ms),
      ref: () => timer,
      unref: () => timer,
      hasRef: () => true,
    }
    this.#timers.add(timer)
    return timer
  }
}
