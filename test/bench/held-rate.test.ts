import { describe, expect, it } from 'vitest'
import { passes } from './figure.ts'
import { outcomeOfHeldRate } from './held-rate.ts'
import type { OpenLoopResult } from './load.ts'
import { stolenMs } from './machine.ts'

const held = (changes: Partial<OpenLoopResult>): OpenLoopResult => ({
  times: Array.from({ length: 600 }, () => 1),
  failures: {},
  failedAt: [],
  ownDelay: { late: 0.5, longest: 3 },
  stolen: 20,
  ...changes,
})

describe('a held rate', () => {
  it('passes where none failed and each part of the minute was quick', () => {
    const { checks, notes } = outcomeOfHeldRate('SoftHSM', held({}))
    expect(checks.map(passes)).toEqual([true, true])
    expect(notes).toEqual([])
  })

  it('shows the slow part of a minute that is quick as a whole', () => {
    const times = Array.from({ length: 600 }, (_, index) => (index < 5 ? 300 : 1))
    const [, slowest] = outcomeOfHeldRate('SoftHSM', held({ times })).checks
    expect(slowest?.measured).toEqual({ median: 1, low: 1, high: 300 })
  })

  it('tells how many failed, of what, and which of them at once', () => {
    const { checks, notes } = outcomeOfHeldRate(
      'SoftHSM',
      held({ failures: { 'status 408': 3, 'status 429': 1 }, failedAt: [12.1, 12.2, 12.3, 40] }),
    )
    expect(checks[0]?.measured.median).toBe(4)
    expect(checks.map(passes)).toEqual([false, true])
    expect(notes).toEqual([
      'SoftHSM: 3 × status 408.',
      'SoftHSM: 1 × status 429.',
      'SoftHSM: 3 of them ended 12.10 to 12.30 s after the first request.',
      'SoftHSM: 1 of them ended 40.00 to 40.00 s after the first request.',
    ])
  })

  it('shows beside them by how much the load generator and the machine were late themselves', () => {
    const { series } = outcomeOfHeldRate('SoftHSM', held({ ownDelay: { late: 1, longest: 290 }, stolen: 310 }))
    expect(series.slice(-3).flatMap(({ values }) => values)).toEqual([1, 290, 310])
    expect(stolenMs()).toBeGreaterThanOrEqual(0)
  })
})
