import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Patience } from '../../adapters/kmip/keys/patience.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** One round trip of work that listens while it waits. */
async function trip(patience: Patience, ms: number): Promise<void> {
  patience.throwIfAborted()
  const listener = vi.fn()
  patience.addEventListener('abort', listener)
  await vi.advanceTimersByTimeAsync(ms)
  patience.removeEventListener('abort', listener)
  expect(listener).toHaveBeenCalledTimes(patience.aborted ? 1 : 0)
}

it('has patience with many trips, and not with one that takes too long', async () => {
  const patience = new Patience(100, 1000)
  for (let trips = 0; trips < 9; trips++) await trip(patience, 90)
  expect(patience.aborted).toBe(false)
  await trip(patience, 101)
  expect(patience.reason).toMatchObject({ name: 'TimeoutError' })
  expect(() => patience.throwIfAborted()).toThrow()
})

it('ends with the time of the whole, and never once the work is done', async () => {
  const [patience, done] = [new Patience(100, 250), new Patience(100, 250)]
  for (let trips = 0; trips < 2; trips++) await trip(patience, 90)
  done.end()
  await trip(patience, 90)
  expect([patience.aborted, done.aborted]).toEqual([true, false])
})
