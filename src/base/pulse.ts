const INTERVAL_MS = 10

/**
 * Notices when this process itself was late: one turn of the event loop took long, or the process did not get a core.
 * What arrived meanwhile could not be seen, so that it seems to have come late.
 */
export class Pulse {
  #users = 0
  #timer: NodeJS.Timeout | undefined
  #beat = 0
  /** The last time that a beat was late, and by how many milliseconds. */
  #late = { at: -Infinity, ms: 0 }

  /** From now on, until as many calls of {@link Pulse.end}, delays are noticed. */
  begin(): void {
    this.#users += 1
    // It beats on for a moment after the last user: to start and stop it each time would cost more.
    if (this.#timer === undefined) this.#wait(performance.now())
  }

  end(): void {
    this.#users -= 1
  }

  /**
   * Milliseconds by which what is seen at `now` may be seen too late.
   *
   * @param now on `performance.now()`'s clock
   */
  delayAt(now: number): number {
    const { at, ms } = this.#late
    // What arrived during a long turn is handled after it, one after the other.
    return Math.max(0, now - this.#beat - INTERVAL_MS) + (at === this.#beat ? ms : 0)
  }

  #wait(now: number): void {
    this.#beat = now
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const beat = performance.now()
      const ms = beat - this.#beat - INTERVAL_MS
      if (ms > 0) this.#late = { at: beat, ms }
      if (this.#users > 0) this.#wait(beat)
    }, INTERVAL_MS)
    this.#timer.unref()
  }
}
