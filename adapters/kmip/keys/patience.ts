import type { CallSignal } from '../../contract/index.ts'

/**
 * The signal for work of many round trips. It fires when a listener has waited longer than `eachMs` milliseconds for
 * one round trip, or when the work has taken `wholeMs` milliseconds. So work may take long on a server that is far
 * away, but not on one that does not answer.
 */
export class Patience implements CallSignal {
  readonly #eachMs: number
  readonly #listeners = new Map<() => void, NodeJS.Timeout>()
  readonly #whole: NodeJS.Timeout
  #reason: Error | undefined

  constructor(eachMs: number, wholeMs: number) {
    this.#eachMs = eachMs
    this.#whole = setTimeout(() => this.#fire(), wholeMs).unref()
  }

  get aborted(): boolean {
    return this.#reason !== undefined
  }

  get reason(): unknown {
    return this.#reason
  }

  throwIfAborted(): void {
    if (this.#reason !== undefined) throw this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.aborted) return
    this.removeEventListener('abort', listener)
    this.#listeners.set(listener, setTimeout(() => this.#fire(), this.#eachMs).unref())
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    clearTimeout(this.#listeners.get(listener))
    this.#listeners.delete(listener)
  }

  /** Ends the timer when the work is done. The signal does not fire after that. */
  end(): void {
    clearTimeout(this.#whole)
  }

  #fire(): void {
    this.#reason = new DOMException('the work took too long', 'TimeoutError')
    clearTimeout(this.#whole)
    for (const listener of [...this.#listeners.keys()]) {
      this.removeEventListener('abort', listener)
      listener()
    }
  }
}
