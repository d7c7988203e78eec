import { Queue, type Place } from './queue.ts'

export interface Timed {
  /** On `performance.now()`'s clock. */
  readonly deadline: number
  /** Called when the deadline has passed. */
  timeUp(): void
}

/**
 * Ends calls or handshakes at their deadlines. All have one budget, so they end in the order in which they began, and
 * one timer serves any number of them. A timer for each would cost a request as much time as its audit record.
 */
export class Deadlines {
  readonly budgetMs: number
  readonly #timed = new Queue<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor(budgetMs: number) {
    this.budgetMs = budgetMs
  }

  /**
   * `timed` must be the one that ends last.
   * @returns what {@link Deadlines.remove} takes
   */
  add(timed: Timed): Place<Timed> {
    const place = this.#timed.join(timed)
    if (this.#timer === undefined) this.#wait(this.budgetMs)
    else if (this.#timed.size === 1) this.#timer.ref()
    return place
  }

  remove(place: Place<Timed>): void {
    // The timer keeps running for later ones. Nothing waits for it.
    if (this.#timed.leave(place) && this.#timed.size === 0) this.#timer?.unref()
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#tellLate(), ms)
  }

  #tellLate(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let place = this.#timed.first; place !== undefined; place = this.#timed.first) {
      const timed = place.value
      if (timed.deadline > now) return this.#wait(Math.ceil(timed.deadline - now))
      this.#timed.leave(place)
      timed.timeUp()
    }
  }
}
