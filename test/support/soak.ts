import { expect } from 'vitest'
import { heldMiB } from './memory.ts'

/** Seconds of a soak: EKM_SOAK_SECONDS, as `npm run soak` sets it, or as few as `npm test` has time for. */
export const soakSeconds = (shortened: number): number => Number(process.env['EKM_SOAK_SECONDS'] ?? shortened)

/** Resident memory, whatever the length of the run: a heap that fills up and is collected, and no more. */
export const MAX_GROWTH_MIB = 96
/** What is still held after a full collection is what is kept; what a test process keeps of a run is little. */
const MAX_HELD_MIB = 16
/**
 * Of the load that is to come. V8 makes its young generation larger by what survives in it, in steps and up to a bound;
 * at a load that keeps a core busy it has its size within 20 s.
 */
const MAX_WARM_UP_SECONDS = 20
const SHARE_TO_WARM_UP = 1 / 5

/** Runs what makes the load hard, for a while to warm up and then for `seconds`; resolves with how memory was before those. */
export async function soak(seconds: number, run: (seconds: number) => Promise<void>): Promise<Growth> {
  await run(Math.min(MAX_WARM_UP_SECONDS, seconds * SHARE_TO_WARM_UP))
  const growth = new Growth()
  await run(seconds)
  return growth
}

/** The memory of this process, from after its warm-up on. */
class Growth {
  readonly #held = heldMiB()
  readonly #resident = process.memoryUsage().rss

  /** Asserts that the process has not grown; what is returned says by how much it did. */
  check(): string {
    const resident = (process.memoryUsage().rss - this.#resident) / 2 ** 20
    const held = heldMiB() - this.#held
    const text = `${resident.toFixed(0)} MiB more resident, ${held.toFixed(1)} MiB more held`
    expect(held, text).toBeLessThan(MAX_HELD_MIB)
    expect(resident, text).toBeLessThan(MAX_GROWTH_MIB)
    return text
  }
}
