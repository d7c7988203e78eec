import type { FindMessage } from '../wire/host-protocol.ts'

/** How many other keys a host looks for, before it reports that one is gone. */
const BESIDE = 3

/** The keys that the token has shown recently. With them a host can tell a missing key from a missing token. */
export class SeenKeys {
  /** The last few selectors, latest last. */
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

  /** The message that asks a host for the key. */
  question(selector: string): FindMessage {
    return {
      selector,
      beside: [...this.#selectors].filter((other) => other !== selector),
      ...(this.#lastAt !== undefined && { seenAgoMs: performance.now() - this.#lastAt }),
    }
  }
}
