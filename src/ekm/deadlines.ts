import { AdapterError } from '../../adapters/contract/index.ts'

interface Timed {
  /** On `performance.now()`'s clock. */
  readonly deadline: number
  stop(reason: AdapterError): void
}

/**
 * Stops calls whose time is over. All have one budget, so that they end in the order in which they began, and one timer
 * does for any number of them: a timer for each would cost a request as much as its audit record.
 */
export class Deadlines {
  readonly budgetMs: number
  readonly #calls = new Set<Timed>()
  #timer: NodeJS.Timeout | undefined

  constructor(budgetMs: number) {
    this.budgetMs = budgetMs
  }

  /** `call` must be the one that ends last. */
  add(call: Timed): void {
    this.#calls.add(call)
    if (this.#timer === undefined) this.#wait(this.budgetMs)
    else if (this.#calls.size === 1) this.#timer.ref()
  }

  remove(call: Timed): void {
    // The timer stays for the calls to come; nothing has to wait for it.
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#timer?.unref()
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#stopLate(), ms)
  }

  #stopLate(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const call of this.#calls) {
      if (call.deadline > now) return this.#wait(Math.ceil(call.deadline - now))
      this.#calls.delete(call)
      call.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'))
    }
  }
}
