import { Line, type Place } from './line.ts'

export interface Timed {
  /** On `performance.now()`'s clock. */
  readonly deadline: number
  /** The deadline has passed. */
  timeUp(): void
}

/**
 * Tells calls, or handshakes, that their time is over. All have one budget, so that they end in the order in which they
 * began, and one timer does for any number of them: a timer for each would cost a request as much as its audit record.
 */
export class Deadlines {
  readonly budgetMs: number
  readonly #timed = new Line<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor(budgetMs: number) {
    this.budgetMs = budgetMs
  }

  /** `timed` must be the one that ends last. Gives what {@link Deadlines.remove} takes. */
  add(timed: Timed): Place<Timed> {
    const place = this.#timed.join(timed)
    if (this.#timer === undefined) this.#wait(this.budgetMs)
    else if (this.#timed.size === 1) this.#timer.ref()
    return place
  }

  remove(place: Place<Timed>): void {
    // The timer stays for those to come; nothing has to wait for it.
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
