import { expect } from 'vitest'
import { heldMiB } from './memory.ts'

/**
 * The length of a soak in seconds: EKM_SOAK_SECONDS as `npm run soak` sets it, or as little as `npm test` has time for.
 */
export const soakSeconds = (shortened: number): number => Number(process.env['EKM_SOAK_SECONDS'] ?? shortened)

/**
 * The allowed growth of resident memory, whatever the length of the run: a heap between two collections, and no more.
 */
export const MAX_GROWTH_MIB = 96
/** The allowed growth of memory after a full collection. A test process keeps little of a run. */
const MAX_HELD_MIB = 16
/**
 * Seconds of warm-up under the coming load. V8 enlarges its young generation in steps, up to a bound. Under a load that
 * keeps a core busy it has its final size within 20 s.
 */
const MAX_WARM_UP_SECONDS = 20
const SHARE_TO_WARM_UP = 1 / 5

/** Runs `load` for a warm-up and then for `seconds`. Resolves with the memory before the second part. */
export async function soak(seconds: number, run: (seconds: number) => Promise<void>): Promise<Growth> {
  await run(Math.min(MAX_WARM_UP_SECONDS, seconds * SHARE_TO_WARM_UP))
  const growth = new Growth()
  await run(seconds)
  return growth
}

/** This process's memory after its warm-up. */
class Growth {
  readonly #held = heldMiB()
  readonly #resident = process.memoryUsage().rss

  /** Asserts that the process has not grown. Returns a description of its growth. */
  check(): string {
    const resident = (process.memoryUsage().rss - this.#resident) / 2 ** 20
    const held = heldMiB() - this.#held
    const text = `${resident.toFixed(0)} MiB more resident, ${held.toFixed(1)} MiB more held`
    expect(held, text).toBeLessThan(MAX_HELD_MIB)
    expect(resident, text).toBeLessThan(MAX_GROWTH_MIB)
    return text
  }
}
