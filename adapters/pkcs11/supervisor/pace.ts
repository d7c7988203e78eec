/** How much one call's duration weighs in the average. */
const WEIGHT = 0.2
/** More than others should wait for one call. */
const SLOW_MS = 5

/** How long the token takes for a call with one key, in one direction. */
export class Pace {
  #averageMs = 0

  get isSlow(): boolean {
    return this.#averageMs > SLOW_MS
  }

  took(ms: number): void {
    this.#averageMs += (ms - this.#averageMs) * WEIGHT
  }
}
