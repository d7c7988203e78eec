/** When a server answered requests, and how long that took. */
export class Answers {
  #lastAt = 0
  /**
   * About the shortest recent round trip. It grows when all answers take longer, because the network has become slower.
   */
  #roundTripMs: number | undefined
  /** Each is called once when the server has answered a request. */
  readonly #listeners = new Set<() => void>()

  /** When the server last answered, on `performance.now()`'s clock. */
  get lastAt(): number {
    return this.#lastAt
  }

  /** The round trip in milliseconds. Zero if it is not known. */
  get roundTripMs(): number {
    return this.#roundTripMs ?? 0
  }

  /** Resolves at the next answer. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#listeners.add(resolve))
  }

  /** @param sentAt when the answered request was sent, on `performance.now()`'s clock */
  note(sentAt: number): void {
    this.#lastAt = performance.now()
    this.#roundTripMs = Math.min(2 * (this.#roundTripMs ?? Infinity) + 1, this.#lastAt - sentAt)
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Forgets the round trip, because the server may have been replaced. */
  forget(): void {
    this.#roundTripMs = undefined
  }
}
