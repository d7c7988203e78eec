/** Lets something happen at most once in each `ms`. */
export class OncePer {
  readonly #ms: number
  #last = -Infinity

  constructor(ms: number) {
    this.#ms = ms
  }

  isDue(): boolean {
    const now = performance.now()
    if (now - this.#last < this.#ms) return false
    this.#last = now
    return true
  }
}
