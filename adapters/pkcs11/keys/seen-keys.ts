import type { FindMessage } from '../host-protocol.ts'

/** How many other keys a host looks for, before it says that one is gone. */
const BESIDE = 3

/** What the token has shown of late: by that a host tells a key that is gone from a token that is. */
export class SeenKeys {
  /** The last few, by selector, latest last. */
  readonly #selectors = new Set<string>()
  #lastAt: number | undefined

  saw(selector: string): void {
    this.#selectors.delete(selector)
    this.#selectors.add(selector)
    const [oldest] = this.#selectors
    if (oldest !== undefined && this.#selectors.size > BESIDE + 1) this.#selectors.delete(oldest)
    this.#lastAt = performance.now()
  }

  gone(selector: string): void {
    this.#selectors.delete(selector)
  }

  clear(): void {
    this.#selectors.clear()
    this.#lastAt = undefined
  }

  /** To be asked of a host. */
  question(selector: string): FindMessage {
    return {
      selector,
      beside: [...this.#selectors].filter((other) => other !== selector),
      ...(this.#lastAt !== undefined && { seenAgoMs: performance.now() - this.#lastAt }),
    }
  }
}
