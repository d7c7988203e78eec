import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AdapterError, type KeyAdapter, type KeyRef } from '../../adapters/contract/index.ts'
import { Deadlines } from '../../src/base/deadlines.ts'
import { Pulse } from '../../src/base/pulse.ts'
import { Backend } from '../../src/ekm/backend/backend.ts'
import { Call } from '../../src/ekm/backend/call.ts'
import { PoolFlows } from '../../src/ekm/backend/flow.ts'
import { BackendKey } from '../../src/ekm/pooled-key.ts'

/** Holds up the event loop. */
function holdUp(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

describe('the delay of the process itself', () => {
  it('is seen by what arrived meanwhile, and is over a moment later', async () => {
    const pulse = new Pulse()
    pulse.begin()
    const seen = sleep(20).then(() => pulse.delayAt(performance.now()))
    await sleep(1)
    holdUp(80)
    expect(pulse.delayAt(performance.now())).toBeGreaterThan(60)
    expect(await seen).toBeGreaterThan(50)
    await sleep(40)
    expect(pulse.delayAt(performance.now())).toBeLessThan(30)
    pulse.end()
  })
})

describe('calls of a key that takes half of their time', () => {
  const SERVICE_MS = 100
  /** As many a second as fill the first window of a key. */
  const EACH_MS = 10

  /** An adapter whose answers are there after a time, whether or not anybody looks. */
  const far: KeyAdapter = {
    product: { vendor: 'a test', name: 'far' },
    describe: async () => ({ kty: 'oct', bits: 256 }),
    async wrap() {
      await sleep(SERVICE_MS)
      return new Uint8Array(40)
    },
    unwrap: (...call) => far.wrap(...call),
    probe: async () => undefined,
    close: async () => undefined,
  }

  it.each([60, 90, 150])('are all sent after the event loop was held up for %i ms', async (heldMs) => {
    const rejected: string[] = []
    const backend = new Backend({
      name: 'far',
      adapter: far,
      concurrency: 64,
      queue: 256,
      keyCacheMs: 1000,
      observer: {
        called: () => undefined,
        rejected: (rejection) => rejected.push(rejection),
        changed: () => undefined,
        keyChanged: () => undefined,
      },
    })
    const key = new BackendKey(backend, 'kek' as KeyRef, new PoolFlows())
    const deadlines = new Deadlines(200)
    const failures: string[] = []
    const asked: Promise<void>[] = []
    const ask = async () => {
      const call = new Call(deadlines)
      try {
        await key.unwrap('A256KWP', new Uint8Array(40), call)
      } catch (error) {
        failures.push(error instanceof AdapterError ? error.code : String(error))
      }
      call.end()
    }
    const askFor = async (ms: number) => {
      const start = performance.now()
      for (let sent = 0; sent < ms / EACH_MS; sent += 1) {
        await sleep(Math.max(0, start + sent * EACH_MS - performance.now()))
        asked.push(ask())
      }
    }
    await askFor(500)
    expect(failures).toEqual([])
    holdUp(heldMs)
    await askFor(500)
    await Promise.all(asked)
    // Those that were under way may have lost their time, but none is refused later.
    expect([rejected, failures.filter((code) => code !== 'DEADLINE_EXCEEDED')]).toEqual([[], []])
    backend.stop()
  })
})
