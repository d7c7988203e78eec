/** Milliseconds. A worker that lived this long did not die of its start, and its successor starts without delay. */
const SETTLED_MS = 10_000
const DELAY_MS = { first: 100, most: 10_000 } as const

/** How long the successors of workers wait, so that one that always dies of its start takes no core from the others. */
export class StartDelays {
  /** The number of quick ends in a row, by the index of the worker. */
  readonly #quickEnds = new Map<number, number>()

  /**
   * @param livedMs the life of the worker that has ended, in milliseconds
   * @returns milliseconds until its successor starts
   */
  after(index: number, livedMs: number): number {
    const quickEnds = livedMs > SETTLED_MS ? 0 : (this.#quickEnds.get(index) ?? 0)
    this.#quickEnds.set(index, quickEnds + 1)
    return quickEnds === 0 ? 0 : Math.min(DELAY_MS.most, DELAY_MS.first * 2 ** (quickEnds - 1))
  }
}
