import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AdapterError, type KeyAdapter, type KeyRef } from '../../adapters/contract/index.ts'
import { Deadlines } from '../../src/base/deadlines.ts'
import { Pulse } from '../../src/base/pulse.ts'
import { Backend, type BackendObserver } from '../../src/ekm/backend/backend.ts'
import { Call } from '../../src/ekm/backend/call.ts'
import { PoolFlows } from '../../src/ekm/backend/flow.ts'
import { BackendKey } from '../../src/ekm/pooled-key.ts'

/** Holds up the event loop. */
function holdUp(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

const SERVICE_MS = 100

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

const backendOf = (adapter: KeyAdapter, observer: Partial<BackendObserver> = {}) =>
  new Backend({
    name: 'far',
    adapter,
    concurrency: 64,
    queue: 256,
    keyCacheMs: 1000,
    observer: {
      called: () => undefined,
      rejected: () => undefined,
      changed: () => undefined,
      keyChanged: () => undefined,
      ...observer,
    },
  })

describe('the delay of the process itself', () => {
  it('is seen by what arrived meanwhile, and is over a moment later', async () => {
    const pulse = new Pulse()
    pulse.begin()
    const seen = sleep(20).then(() => pulse.delayAt(performance.now()))
    await sleep(1)
    holdUp(80)
    expect(pulse.delayAt(performance.now())).toBeGreaterThan(60)
    expect(await seen).toBeGreaterThan(50)
    // Further answers are handled one after the other.
    const backlog: number[] = []
    holdUp(80)
    await sleep(0)
    for (let handled = 0; handled < 30; handled += 1) {
      holdUp(1)
      backlog.push(pulse.delayAt(performance.now()))
    }
    expect(Math.min(...backlog)).toBeGreaterThan(50)
    await sleep(40)
    expect(pulse.delayAt(performance.now())).toBeLessThan(30)
    pulse.end()
  })
})

describe('a key that answers nothing', () => {
  it('is known as such, although the gateway is late with every turn of its event loop', async () => {
    let isKnown = false
    let isOver = false
    const never = () => new Promise<Uint8Array>(() => undefined)
    const backend = backendOf({ ...far, wrap: never, unwrap: never }, { keyChanged: () => void (isKnown = true) })
    const key = new BackendKey(backend, 'kek' as KeyRef, new PoolFlows())
    const deadlines = new Deadlines(200)
    const turn = () => {
      holdUp(100)
      if (!isOver) setTimeout(turn, 0)
    }
    turn()
    for (const start = performance.now(); !isKnown && performance.now() - start < 6000; await sleep(20)) {
      const call = new Call(deadlines)
      void key
        .unwrap('A256KWP', new Uint8Array(40), call)
        .catch(() => undefined)
        .finally(() => call.end())
    }
    isOver = true
    backend.stop()
    // The last turn, and the deadlines of the last calls.
    await sleep(300)
    expect(isKnown).toBe(true)
  })
})

describe('calls of a key that takes half of their time', () => {
  /** As many a second as fill the first window of a key. */
  const EACH_MS = 10

  it.each([60, 90, 150])('are all sent after the event loop was held up for %i ms', async (heldMs) => {
    const rejected: string[] = []
    const backend = backendOf(far, { rejected: (rejection) => void rejected.push(rejection) })
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
