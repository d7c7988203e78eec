import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AdapterError, type AdapterErrorCode, type CallContext } from '../../adapters/contract/index.ts'
import { Breaker } from '../../src/ekm/backend/breaker.ts'

let probe: (context: CallContext) => Promise<void>
let probes: number
let changes: (string | undefined)[]
let breaker: Breaker

const works = async () => undefined
const hangs = () => new Promise<void>(() => undefined)
const fails = (code: AdapterErrorCode) => () => Promise.reject(new AdapterError(code, 'a fault of the test'))
const away = fails('BACKEND_UNAVAILABLE')

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  probe = works
  probes = 0
  changes = []
  breaker = new Breaker({
    probe: (context) => {
      probes += 1
      return probe(context)
    },
    onChange: (evidence) => changes.push(evidence?.code),
  })
})
afterEach(() => {
  breaker.stop()
  vi.useRealTimers()
})

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

describe('a breaker', () => {
  it('never opens for calls alone: failed calls cause a probe at once, and four probes a second while they continue', async () => {
    for (let ms = 0; ms < 2000; ms += 10) {
      for (let calls = 0; calls < 5; calls += 1) breaker.doubt()
      await pass(10)
    }
    expect(probes).toBeGreaterThanOrEqual(7)
    expect(probes).toBeLessThanOrEqual(9)
    expect([breaker.isOpen, breaker.isReady, changes]).toEqual([false, true, []])
  })

  it('opens with the first probe that fails with the error of the calls', async () => {
    probe = away
    breaker.doubt()
    await pass(1)
    expect(() => breaker.assertClosed()).toThrow(expect.objectContaining({ code: 'BACKEND_UNAVAILABLE' }) as Error)
    expect([probes, changes, breaker.isReady]).toEqual([1, ['BACKEND_UNAVAILABLE'], false])
  })

  it('opens after two probes that hang, and has one probe under way at a time', async () => {
    probe = hangs
    breaker.doubt()
    await pass(400)
    breaker.doubt()
    await pass(200)
    expect([probes, breaker.isOpen, breaker.isReady]).toEqual([1, false, false])
    await pass(900)
    expect([probes, changes]).toEqual([2, ['DEADLINE_EXCEEDED']])
  })

  it('ignores a probe that hangs where the backend answered meanwhile, but not one that is refused', async () => {
    probe = hangs
    for (let ms = 0; ms < 3000; ms += 100) {
      breaker.doubt()
      breaker.answered(performance.now())
      await pass(100)
    }
    expect([breaker.isReady, changes]).toEqual([true, []])
    probe = (context) => {
      breaker.answered(performance.now())
      return away().catch((error: unknown) => {
        context.signal.throwIfAborted()
        throw error
      })
    }
    breaker.doubt()
    await pass(1000)
    expect(changes[0]).toBe('BACKEND_UNAVAILABLE')
  })

  it('ignores errors that are the adapter’s own', async () => {
    for (const code of ['BACKEND_BUSY', 'CANCELLED', 'CLOSED'] as const) {
      probe = fails(code)
      for (let times = 0; times < 3; times += 1) {
        breaker.doubt()
        await pass(300)
      }
    }
    expect([probes, breaker.isReady, changes]).toEqual([9, true, []])
  })

  it('probes twice a second while it is open, and closes with the first probe that is answered', async () => {
    probe = away
    breaker.doubt()
    await pass(1)
    probes = 0
    await pass(1600)
    expect([probes, breaker.isOpen]).toEqual([3, true])
    probe = works
    await pass(500)
    expect([breaker.isOpen, breaker.isReady, changes]).toEqual([false, true, ['BACKEND_UNAVAILABLE', undefined]])
    for (let calls = 0; calls < 5; calls += 1) breaker.doubt()
    await pass(1000)
    expect(breaker.isOpen).toBe(false)
  })

  it('gives up a hanging probe after a second while it is open', async () => {
    probe = away
    breaker.doubt()
    await pass(1)
    probe = hangs
    await pass(500)
    probe = works
    await pass(999)
    expect(breaker.isOpen).toBe(true)
    await pass(501)
    expect(breaker.isOpen).toBe(false)
  })

  it('probes a backend without calls, is not ready after one failure, and open after two', async () => {
    await pass(4000)
    breaker.answered(performance.now())
    await pass(4000)
    expect(probes).toBe(0)
    probe = away
    await pass(2000)
    expect([probes, breaker.isReady, breaker.isOpen]).toEqual([1, false, false])
    await pass(250)
    expect([probes, changes]).toEqual([2, ['BACKEND_UNAVAILABLE']])
  })

  it('does nothing once it is stopped', async () => {
    probe = away
    breaker.stop()
    breaker.doubt()
    await pass(60_000)
    expect([probes, changes]).toEqual([0, []])
  })
})
