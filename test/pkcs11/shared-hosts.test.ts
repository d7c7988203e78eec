import { describe, expect, it } from 'vitest'
import { SimulatedToken, type Load } from './support/simulated-token.ts'

// Which host gets which call, in simulated time: one test for each rule of supervisor/host-choice.ts, pace.ts and
// job-queue.ts. turns.test.ts shows the same on SoftHSM, as far as a busy machine lets it.

/** Milliseconds. More than a quick call takes that waits for others like it, and less than a slow one. */
const SOON_MS = 50
const QUICK = { callers: 1, pauseMs: 10 }

const quick = (token: SimulatedToken, key = 'quick') => token.load(QUICK.callers, QUICK.pauseMs, key)
const median = ({ times }: Load) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? Infinity
const unwrap = { direction: 'unwrap' } as const
const unwrapRsa = { ...unwrap, does: 'RSA' } as const

/** Calls in a second, after the load has settled for one. */
async function perSecond(token: SimulatedToken, load: Load): Promise<number> {
  await token.pass(1000)
  load.reset()
  await token.pass(2000)
  return load.times.length / 2
}

describe('a quick key beside a slow one', () => {
  it.each([2, 3])('waits for none of its calls, with %i sessions', async (sessions) => {
    await SimulatedToken.with(sessions, { slow: 85 }, async (token) => {
      const slow = token.load(12, 0, 'slow', unwrap)
      await token.pass(1000)
      const other = quick(token)
      await token.pass(3000)
      expect(median(other)).toBeLessThan(1)
      expect(other.longest()).toBeLessThan(SOON_MS)
      expect(slow.times.length).toBeGreaterThan(40 * (sessions - 1))
    })
  })

  it('waits for the one that is in hand, with one session', async () => {
    await SimulatedToken.with(1, { slow: 85 }, async (token) => {
      token.load(12, 0, 'slow', unwrap)
      await token.pass(1000)
      const other = quick(token)
      await token.pass(3000)
      expect(other.longest()).toBeLessThan(100)
    })
  })

  it('does not wait for a probe with it', async () => {
    await SimulatedToken.with(2, { slow: 85 }, async (token) => {
      token.load(12, 0, 'slow', unwrap)
      const other = quick(token)
      await token.pass(1000)
      token.load(1, 100, 'slow', { ...unwrap, purpose: 'probe' })
      other.reset()
      await token.pass(3000)
      expect(other.longest()).toBeLessThan(10)
    })
  })
})

describe.each([2, 3])('a key that becomes slow, with %i sessions', (sessions) => {
  /** The longest call of each other key, while a burst of calls takes `ms`. */
  async function beside(ms: number, others: Record<string, number>, burst: number): Promise<number[]> {
    const longest: number[] = []
    await SimulatedToken.with(sessions, { ...others }, async (token) => {
      const uses = [quick(token, 'one'), token.load(1, 10, 'other', unwrap)]
      token.load(1, 150, 'slow')
      token.load(1, 150, 'slow', unwrap)
      await token.pass(1500)
      for (const use of uses) use.reset()
      token.ms['slow'] = ms
      for (let calls = 0; calls < burst; calls += 1) {
        token.call('slow').catch(() => undefined)
        token.call('slow', unwrap).catch(() => undefined)
      }
      await token.pass(3500)
      longest.push(...uses.map((use) => use.longest()))
    })
    return longest
  }

  it.each([
    { what: 'takes long', ms: 700, others: {}, burst: 8 },
    { what: 'hangs, and costs one session after the other', ms: Infinity, others: {}, burst: 8 },
    { what: 'hangs, with more calls than the sessions take', ms: Infinity, others: {}, burst: 32 },
    { what: 'takes long beside one that takes 20 ms', ms: 700, others: { other: 20 }, burst: 8 },
    { what: 'takes long beside two that take that', ms: 700, others: { one: 12, other: 20 }, burst: 8 },
  ])('and $what keeps no other waiting', async ({ ms, others, burst }) => {
    for (const longest of await beside(ms, others, burst)) expect(longest).toBeLessThan(2 * SOON_MS)
  })

  it('and is asked on keeps no other waiting', async () => {
    await SimulatedToken.with(sessions, { slow: 0.5 }, async (token) => {
      token.load(6, 5, 'slow')
      token.load(6, 5, 'slow', unwrap)
      const others = token.load(2, 0, 'quick')
      await token.pass(1500)
      others.reset()
      token.ms['slow'] = 400
      await token.pass(4000)
      expect(others.longest()).toBeLessThan(SOON_MS)
    })
  })
})

it.each([4, 13, 14, 16, 20, 25])(
  'a key that becomes slow keeps no other waiting, though the machine pauses in one of 20 calls: seed %i',
  async (seed) => {
    let state = seed * 7919
    const random = () => (state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff) / 0x7fff_ffff
    const pausing = (ms: number) => () => ms + (random() < 0.05 ? 10 + 80 * random() : random())
    await SimulatedToken.with(3, {}, async (token) => {
      for (const [key, ms] of Object.entries({ one: 0.3, other: 1, slow: 0.3 })) token.take(key, pausing(ms))
      for (let times = 0; times < 20; times += 1) {
        const calls = [
          token.call('slow'),
          token.call('slow', unwrap),
          token.call('one'),
          token.call('other', unwrapRsa),
        ]
        await Promise.all([...calls, token.pass(250)])
      }
      const uses = [quick(token, 'one'), token.load(1, 10, 'other', unwrapRsa)]
      await token.pass(50)
      token.take('slow', () => 700)
      for (let calls = 0; calls < 8; calls += 1) {
        token.call('slow').catch(() => undefined)
        token.call('slow', unwrap).catch(() => undefined)
      }
      await token.pass(3500)
      for (const use of uses) expect(use.longest()).toBeLessThan(300)
    })
  },
)

it('a key of which a call now and then takes long keeps no other waiting, with three sessions', async () => {
  await SimulatedToken.with(3, {}, async (token) => {
    let calls = 0
    token.take('fitful', () => ((calls += 1) % 50 === 0 ? 300 : 1))
    token.load(24, 0, 'fitful')
    const other = quick(token)
    await token.pass(1500)
    other.reset()
    await token.pass(4000)
    expect(other.longest()).toBeLessThan(SOON_MS)
  })
})

describe('a key that is slow in one direction', () => {
  it('is quick in the other as soon as that was answered', async () => {
    await SimulatedToken.with(2, {}, async (token) => {
      quick(token)
      const wraps = quick(token, 'key')
      token.load(1, 10, 'key', unwrap)
      await token.pass(1500)
      token.ms['key/unwrap'] = 400
      await token.pass(1500)
      wraps.reset()
      await token.pass(3000)
      expect(wraps.longest()).toBeLessThan(SOON_MS)
    })
  })

  it('does not come between two of its other direction’s turns, with two sessions', async () => {
    await SimulatedToken.with(2, { 'key/unwrap': 30 }, async (token) => {
      token.load(8, 0, 'key', unwrap)
      const wraps = quick(token, 'key')
      await token.pass(1500)
      wraps.reset()
      await token.pass(3000)
      expect(wraps.longest()).toBeLessThan(SOON_MS)
    })
  })
})

it('calls behind one that hangs are soon done elsewhere', async () => {
  await SimulatedToken.with(2, { hangs: Infinity }, async (token) => {
    const began = token.time.now
    const ends: number[] = []
    const hanging = [token.call('hangs').catch(() => undefined)]
    for (let calls = 0; calls < 20; calls += 1) void token.call('quick').then(() => ends.push(token.time.now - began))
    await token.pass(500)
    expect(ends).toHaveLength(20)
    expect(Math.max(...ends)).toBeLessThan(2 * SOON_MS)
    await Promise.all([...hanging, token.pass(3000)])
  })
})

describe('all sessions are used', () => {
  const rows: readonly (readonly [what: string, ms: number, callers: number, beside: boolean, atLeast: number])[] = [
    ['by a key that is alone, for a few calls', 4, 8, false, 450],
    ['by a slow key that is alone', 20, 16, false, 95],
    ['by the flood of a quick key, beside another that was there before', 1, 64, true, 1500],
  ]
  it.each(rows)('%s', async (_what, ms, callers, isBeside, atLeast) => {
    await SimulatedToken.with(2, { key: ms }, async (token) => {
      if (isBeside) quick(token)
      await token.pass(500)
      expect(await perSecond(token, token.load(callers, 0, 'key'))).toBeGreaterThan(atLeast)
    })
  })
})

describe('a key that is slow in one direction, beside one that is slow in both', () => {
  it.each([2, 3])(
    'takes no call of the other’s from it, and none of its own quick ones: %i sessions',
    async (sessions) => {
      await SimulatedToken.with(sessions, { 'key/wrap': 0.5, 'key/unwrap': 30, other: 30 }, async (token) => {
        const unwraps = token.load(8, 0, 'key', unwrap)
        const wraps = quick(token, 'key')
        const others = token.load(4, 0, 'other')
        await token.pass(1500)
        for (const load of [unwraps, wraps, others]) load.reset()
        await token.pass(3000)
        expect(median(wraps)).toBeLessThan(1)
        expect(unwraps.times.length).toBeGreaterThan(40)
        expect(others.times.length).toBeGreaterThan(40)
      })
    },
  )
})

describe('keys whose calls have many steps', () => {
  it.each([
    { keys: 1, callers: 12, atLeast: 200 },
    { keys: 2, callers: 12, atLeast: 250 },
    { keys: 3, callers: 6, atLeast: 200 },
  ])('share the steps of $callers values, and leave a session to a quick key: $keys keys', async (row) => {
    const names = Array.from({ length: row.keys }, (_, index) => `slow-${index}`)
    const ms = Object.fromEntries(names.map((name) => [name, 72]))
    await SimulatedToken.with(2, ms, async (token) => {
      const loads = names.map((name) => token.load(row.callers, 0, name, { does: 'key wrap in steps' }))
      await token.pass(1000)
      for (const load of loads) load.reset()
      const other = quick(token)
      await token.pass(3000)
      expect(median(other)).toBeLessThan(1)
      expect(loads.reduce((sum, { times }) => sum + times.length, 0)).toBeGreaterThan(row.atLeast)
    })
  })
})

it('what no caller waits for keeps no slow key waiting, also if it hangs', async () => {
  await SimulatedToken.with(2, { slow: 20, sample: Infinity }, async (token) => {
    const slow = token.load(1, 10, 'slow', unwrap)
    const other = quick(token)
    await token.pass(1500)
    for (const load of [slow, other]) load.reset()
    token.load(1, 0, 'sample', { purpose: 'background' })
    await token.pass(2500)
    expect(slow.longest()).toBeLessThan(SOON_MS)
    expect(other.longest()).toBeLessThan(SOON_MS)
  })
})
