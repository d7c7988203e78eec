import { Line, type Place } from './line.ts'

export interface Timed {
  /** On `performance.now()`'s clock. */
  readonly deadline: number
  /** The deadline has passed. */
  timeUp(): void
}

/**
 * Stops calls whose time is over. All have one budget, so that they end in the order in which they began, and one timer
 * does for any number of them: a timer for each would cost a request as much as its audit record.
 */
export class Deadlines {
  readonly budgetMs: number
  readonly #calls = new Line<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor(budgetMs: number) {
    this.budgetMs = budgetMs
  }

  /** `call` must be the one that ends last. Gives what {@link Deadlines.remove} takes. */
  add(call: Timed): Place<Timed> {
    const place = this.#calls.join(call)
    if (this.#timer === undefined) this.#wait(this.budgetMs)
    else if (this.#calls.size === 1) this.#timer.ref()
    return place
  }

  remove(place: Place<Timed>): void {
    // The timer stays for the calls to come; nothing has to wait for it.
    if (this.#calls.leave(place) && this.#calls.size === 0) this.#timer?.unref()
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#stopLate(), ms)
  }

  #stopLate(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let place = this.#calls.first; place !== undefined; place = this.#calls.first) {
      const call = place.value
      if (call.deadline > now) return this.#wait(Math.ceil(call.deadline - now))
      this.#calls.leave(place)
      call.timeUp()
    }
  }
}
