import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Patience } from '../../adapters/kmip/keys/patience.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** One round trip of work that obeys its signal. */
async function trip(patience: Patience, ms: number): Promise<void> {
  patience.throwIfAborted()
  const listener = vi.fn()
  patience.addEventListener('abort', listener)
  await vi.advanceTimersByTimeAsync(ms)
  patience.removeEventListener('abort', listener)
  expect(listener).toHaveBeenCalledTimes(patience.aborted ? 1 : 0)
}

it('the adapter’s patience allows many round trips, but not a single slow one', async () => {
  const patience = new Patience(100, 1000)
  for (let trips = 0; trips < 9; trips++) await trip(patience, 90)
  expect(patience.aborted).toBe(false)
  await trip(patience, 101)
  expect(patience.reason).toMatchObject({ name: 'TimeoutError' })
  expect(() => patience.throwIfAborted()).toThrow()
})

it('the adapter’s patience ends with the total time, and never after the work is done', async () => {
  const [patience, done] = [new Patience(100, 250), new Patience(100, 250)]
  for (let trips = 0; trips < 2; trips++) await trip(patience, 90)
  done.end()
  await trip(patience, 90)
  expect([patience.aborted, done.aborted]).toEqual([true, false])
})
