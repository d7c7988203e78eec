import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  AdapterError,
  type CallContext,
  type KeyAdapter,
  type KeyRef,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import { Backend } from '../../src/ekm/backend/backend.ts'
import { Call } from '../../src/ekm/backend/call.ts'
import { Deadlines } from '../../src/base/deadlines.ts'
import { PoolFlows } from '../../src/ekm/backend/flow.ts'
import { BackendKey } from '../../src/ekm/pooled-key.ts'

interface Job {
  readonly done: () => void
  readonly signal: CallContext['signal']
}

/** An adapter with this many servers and one queue for each key, in the test's own time. */
class Servers implements KeyAdapter {
  readonly product = { vendor: 'a test', name: 'servers' }
  /** Milliseconds of a call with a key, or of a probe. */
  readonly serviceMs = new Map<string, number>()
  readonly #free = new Map<string, number>()
  readonly #queues = new Map<string, Job[]>()
  readonly #count: number

  constructor(count: number) {
    this.#count = count
  }

  async describe() {
    return { kty: 'oct', bits: 256 } as const
  }

  async wrap(key: KeyRef, _algorithm: WrapAlgorithm, _plaintext: Uint8Array, { signal }: CallContext) {
    await this.#serve(key, signal)
    return new Uint8Array(40)
  }

  unwrap(key: KeyRef, algorithm: WrapAlgorithm, ciphertext: Uint8Array, context: CallContext) {
    return this.wrap(key, algorithm, ciphertext, context)
  }

  probe({ signal }: CallContext): Promise<void> {
    return this.#serve('probe', signal)
  }

  close = async () => undefined

  #serve(key: string, signal: CallContext['signal']): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      const queue = this.#queues.get(key) ?? []
      queue.push({ done: resolve, signal })
      this.#queues.set(key, queue)
      this.#next(key, queue)
    })
  }

  #next(key: string, queue: Job[]): void {
    const free = this.#free.get(key) ?? this.#count
    if (free === 0) return
    const job = queue.shift()
    if (job === undefined) return
    if (job.signal.aborted) return this.#next(key, queue)
    this.#free.set(key, free - 1)
    const end = () => {
      this.#free.set(key, (this.#free.get(key) ?? 0) + 1)
      job.done()
      this.#next(key, queue)
    }
    const ms = this.serviceMs.get(key) ?? 1
    if (ms === Infinity) job.signal.addEventListener('abort', end)
    else setTimeout(end, ms)
  }
}

const DEADLINE_MS = 200

let adapter: Servers
let backend: Backend
let changes: (string | undefined)[]
let silent: string[]

function start(servers: number, concurrency = 64): void {
  adapter = new Servers(servers)
  backend = new Backend({
    name: 'store',
    adapter,
    concurrency,
    queue: 256,
    keyCacheMs: 1000,
    observer: {
      called: () => undefined,
      rejected: () => undefined,
      changed: (evidence) => changes.push(evidence?.code),
      keyChanged: (operation, ref, isAnswered) => silent.push(`${operation} ${ref} ${isAnswered}`),
    },
  })
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  changes = []
  silent = []
})
afterEach(() => {
  backend.stop()
  vi.useRealTimers()
})

const key = (pool: PoolFlows, ref: string, serviceMs: number): BackendKey => {
  adapter.serviceMs.set(ref, serviceMs)
  return new BackendKey(backend, ref as KeyRef, pool)
}

/** Callers that ask again at once, or 20 ms after a refusal, for `ms` milliseconds. */
function ask(asked: BackendKey, callers: number, ms: number, pauseMs = 0) {
  const tally: Record<string, number> = {}
  let slowestMs = 0
  const end = performance.now() + ms
  const deadlines = new Deadlines(DEADLINE_MS)
  const one = async () => {
    while (performance.now() < end) {
      const call = new Call(deadlines)
      let code = 'OK'
      try {
        await asked.unwrap('A256KWP', new Uint8Array(40), call)
      } catch (error) {
        code = error instanceof AdapterError ? error.code : String(error)
      }
      call.end()
      slowestMs = Math.max(slowestMs, performance.now() - call.start)
      tally[code] = (tally[code] ?? 0) + 1
      if (code !== 'OK' || pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs || 20))
    }
  }
  for (let caller = 0; caller < callers; caller += 1) void one()
  return { tally, slowest: () => slowestMs }
}

const SECOND = 1000

describe('a key with more calls than the backend can serve', () => {
  // The number of servers, and the milliseconds of each call.
  const rows = [
    [2, 10],
    [2, 85],
    [8, 50],
    [8, 140],
  ] as const

  it.each(rows)(
    'gets the throughput of %i servers of %i ms a call, and 429 at once for the rest',
    async (servers, ms) => {
      start(servers)
      const asked = key(new PoolFlows(), 'rsa', ms)
      const first = ask(asked, 64, SECOND)
      await vi.advanceTimersByTimeAsync(SECOND)
      expect(first.tally['OK']).toBeGreaterThan(0)
      const settled = ask(asked, 64, 4 * SECOND)
      await vi.advanceTimersByTimeAsync(5 * SECOND)
      const { OK = 0, DEADLINE_EXCEEDED: late = 0, ...others } = settled.tally
      expect(OK).toBeGreaterThan((0.8 * (4 * SECOND * servers)) / ms)
      expect(late).toBeLessThan(0.05 * OK)
      expect(Object.keys(others)).toEqual(['BACKEND_BUSY'])
      expect([changes, silent]).toEqual([[], []])
    },
  )

  it.each([64, 8])('delays no other key and no other pool, with %i places', async (concurrency) => {
    start(2, concurrency)
    const pool = new PoolFlows()
    const floods = ['rsa-1', 'rsa-2'].map((ref) => ask(key(pool, ref, 85), 64, SECOND))
    const others = [ask(key(pool, 'aes', 1), 4, SECOND, 5), ask(key(new PoolFlows(), 'aes', 1), 4, SECOND, 5)]
    await vi.advanceTimersByTimeAsync(2 * SECOND)
    for (const flood of floods) expect(flood.tally['BACKEND_BUSY']).toBeGreaterThan(0)
    for (const other of others) {
      expect(Object.keys(other.tally)).toEqual(['OK'])
      expect(other.slowest()).toBeLessThan(10)
    }
  })
})

describe('a key whose calls are no longer answered', () => {
  it('gets 502 at once except for one call at a time, until that is answered, and costs no other key anything', async () => {
    start(2)
    const pool = new PoolFlows()
    const asked = key(pool, 'sick', 1)
    const other = ask(key(pool, 'well', 1), 4, 4 * SECOND, 5)
    adapter.serviceMs.set('sick', Infinity)
    ask(asked, 16, 2 * SECOND)
    await vi.advanceTimersByTimeAsync(2 * SECOND)
    expect(silent).toEqual(['unwrap sick false'])
    const stuck = ask(asked, 16, SECOND)
    await vi.advanceTimersByTimeAsync(SECOND)
    expect(stuck.tally['DEADLINE_EXCEEDED']).toBeLessThanOrEqual(5)
    expect(Object.keys(stuck.tally).sort()).toEqual(['BACKEND_UNAVAILABLE', 'DEADLINE_EXCEEDED'])
    adapter.serviceMs.set('sick', 1)
    // The last call that hangs, and the first one that does not.
    await vi.advanceTimersByTimeAsync(DEADLINE_MS)
    ask(asked, 1, 1)
    await vi.advanceTimersByTimeAsync(10)
    const again = ask(asked, 4, SECOND, 5)
    await vi.advanceTimersByTimeAsync(SECOND)
    expect(Object.keys(again.tally)).toEqual(['OK'])
    expect(silent).toEqual(['unwrap sick false', 'unwrap sick true'])
    expect([Object.keys(other.tally), changes]).toEqual([['OK'], []])
    expect(other.slowest()).toBeLessThan(10)
  })
})

describe('a backend that hangs', () => {
  it('is down within 2 s with its probe’s reason, and up again with the next probe', async () => {
    start(2)
    const asked = key(new PoolFlows(), 'aes', Infinity)
    adapter.serviceMs.set('probe', Infinity)
    ask(asked, 4, 10 * SECOND)
    await vi.advanceTimersByTimeAsync(2 * SECOND)
    expect(changes).toEqual(['DEADLINE_EXCEEDED'])
    adapter.serviceMs.set('probe', 1).set('aes', 1)
    await vi.advanceTimersByTimeAsync(1.5 * SECOND)
    expect(changes).toEqual(['DEADLINE_EXCEEDED', undefined])
    const well = ask(asked, 4, SECOND, 5)
    await vi.advanceTimersByTimeAsync(SECOND)
    expect(Object.keys(well.tally)).toEqual(['OK'])
  })

  it('is not down for a late probe while it answers calls', async () => {
    start(2)
    adapter.serviceMs.set('probe', Infinity)
    const sick = ask(key(new PoolFlows(), 'sick', Infinity), 4, 5 * SECOND)
    const well = ask(key(new PoolFlows(), 'well', 1), 4, 5 * SECOND, 20)
    await vi.advanceTimersByTimeAsync(6 * SECOND)
    expect(sick.tally['OK']).toBeUndefined()
    expect([Object.keys(well.tally), changes]).toEqual([['OK'], []])
  })
})
