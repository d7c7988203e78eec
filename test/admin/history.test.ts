import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BYTES_PER_POOL, History, quantile, SLOT_MS, SLOTS } from '../../src/service/admin/history.ts'
import type { PoolCounts } from '../../src/telemetry/pool-counts.ts'
import { DurationHistogram } from '../../src/telemetry/duration-histogram.ts'
import { EventCounter } from '../../src/telemetry/event-counter.ts'
import { poolCounts } from '../../src/telemetry/pool-counts.ts'
import { spanOf } from './look.ts'

const MINUTE = 60_000
/** One pool's counts: this many key uses, each within 1 ms, and this many failures. */
const counts = (uses: number, failed = 0, reasons: Record<string, number> = {}): PoolCounts => ({
  pool: 'contoso',
  calls: uses,
  failed,
  durations: [0, uses],
  reasons,
})
const answer = (pid: number, ...pools: PoolCounts[]) => ({ pid, pools })

describe('the history of pools', () => {
  it('adds up the counts of all processes since the last question', () => {
    const history = new History()
    history.record(0, [answer(1, counts(10)), answer(2, counts(5))])
    history.record(5000, [answer(1, counts(12)), answer(2, counts(5, 3, { BACKEND_UNAVAILABLE: 3 }))])
    expect(history.span('contoso', 5000, MINUTE)).toMatchObject({
      calls: 17,
      failed: 3,
      reasons: [['BACKEND_UNAVAILABLE', 3]],
    })
  })

  it('keeps the counts of a process that has ended, and counts its successor from 0', () => {
    const history = new History()
    history.record(0, [answer(1, counts(100)), answer(2, counts(100))])
    history.record(5000, [answer(1, counts(110))])
    history.record(10_000, [answer(1, counts(110)), answer(3, counts(4))])
    expect(history.span('contoso', 10_000, MINUTE).calls).toBe(214)
  })

  it('counts nothing twice after a process was silent for a while', () => {
    const history = new History()
    history.record(0, [answer(1, counts(100))])
    history.record(5000, [])
    history.record(10_000, [answer(1, counts(101))])
    expect(history.span('contoso', 10_000, MINUTE).calls).toBe(101)
  })

  it('takes falling counts as those of a pool that was removed and added again', () => {
    const history = new History()
    history.record(0, [answer(1, counts(100))])
    history.record(5000, [answer(1, counts(7))])
    expect(history.span('contoso', 5000, MINUTE).calls).toBe(107)
  })

  it('forgets counts older than an hour, even if nobody asked meanwhile', () => {
    const history = new History()
    history.record(0, [answer(1, counts(10))])
    expect(history.span('contoso', 59 * MINUTE, 60 * MINUTE).calls).toBe(10)
    expect(history.span('contoso', 61 * MINUTE, 60 * MINUTE).calls).toBe(0)
    history.record(5 * 60 * MINUTE, [answer(1, counts(11))])
    expect(history.span('contoso', 5 * 60 * MINUTE, 60 * MINUTE).calls).toBe(1)
  })

  it('has a slot for each half minute, the oldest first', () => {
    const history = new History()
    for (let slot = 0; slot < SLOTS + 10; slot += 1) {
      history.record(slot * SLOT_MS, [answer(1, counts((slot * (slot + 1)) / 2))])
    }
    const slots = history.slots('contoso', (SLOTS + 9) * SLOT_MS)
    expect(slots.map(({ calls }) => calls)).toEqual(Array.from({ length: SLOTS }, (_, index) => index + 10))
  })

  it('knows the last call of each pool, and forgets a pool that is no longer configured', () => {
    const history = new History()
    history.record(0, [answer(1, counts(1))])
    history.record(5000, [answer(1, counts(2))])
    history.record(10_000, [answer(1, counts(2))])
    expect(history.lastCall('contoso')).toBe(5000)
    history.follow([])
    expect(history.lastCall('contoso')).toBeUndefined()
    expect(history.span('contoso', 10_000, MINUTE).calls).toBe(0)
  })

  it('counts an unknown reason as "other", and loses none', () => {
    const history = new History()
    history.record(0, [answer(1, counts(2, 2, { NEVER_HEARD_OF: 1, NOR_OF_THIS: 1 }))])
    expect(history.span('contoso', 0, MINUTE).reasons).toEqual([['OTHER', 2]])
  })

  it('takes as much memory as docs/status-page.md says', () => {
    const page = readFileSync(new URL('../../docs/status-page.md', import.meta.url), 'utf8')
    expect(page).toContain(`${BYTES_PER_POOL.toLocaleString('en')} bytes a pool`)
  })
})

describe('a quantile', () => {
  it.each([
    ['of nothing', {}, 0.5, undefined],
    ['in the first bucket', { 0: 4 }, 0.5, 0.00025],
    ['at a bound', { 9: 10 }, 1, 0.2],
    ['beyond the last bound', { 13: 1 }, 0.99, Infinity],
    ['of the tail', { 1: 99, 12: 1 }, 0.999, 0.95],
  ])('%s is what Prometheus estimates', (_what, buckets, share, expected) => {
    const value = quantile(share, spanOf(buckets).durations)
    if (expected === undefined || expected === Infinity) expect(value).toBe(expected)
    else expect(value).toBeCloseTo(expected, 5)
  })
})

describe('the counts of a pool', () => {
  const durations = new DurationHistogram('d', '', ['pool', 'operation', 'algorithm', 'status'])
  const failures = new EventCounter('f_total', '', ['pool', 'reason'])
  durations.observe(0.0007, 'contoso', 'wrapkey', 'A256KW', 200)
  durations.observe(0.3, 'contoso', 'unwrapkey', 'A256KW', 408)
  durations.observe(0.0007, 'contoso', 'unwrapkey', 'A256KW', 400)
  durations.observe(0.0007, 'contoso', 'info', '', 200)
  durations.observe(0.0007, 'contoso', 'wrapkey', '', 401)
  durations.observe(0.0007, '', '', '', 401)
  failures.count('contoso', 'DEADLINE_EXCEEDED')
  failures.count('', 'CERTIFICATE_REFUSED')

  it('cover all calls except those of refused clients, with times and failures of key uses', async () => {
    expect(await poolCounts(durations, failures)).toEqual([
      {
        pool: 'contoso',
        calls: 4,
        failed: 1,
        durations: [0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        reasons: { DEADLINE_EXCEEDED: 1 },
      },
    ])
  })
})
