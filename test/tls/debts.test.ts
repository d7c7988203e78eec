import { describe, expect, it } from 'vitest'
import { Debts } from '../../src/tls/debts.ts'

describe('a network’s debts', () => {
  it('are paid by waiting a hundred times as long, down to the credit of every network', () => {
    const debts = new Debts()
    debts.charge('a', 150, 0)
    expect([0, 9999, 10_000].map((now) => debts.mustWait('a', now))).toEqual([true, true, false])
    expect(debts.mustWait('b', 0)).toBe(false)
    debts.charge('a', 10, 10_000)
    expect([10_000, 10_999, 11_000].map((now) => debts.mustWait('a', now))).toEqual([true, true, false])
  })

  it('leave a network on probation after it had to wait, until it has paid all', () => {
    const debts = new Debts()
    debts.charge('a', 40, 0)
    expect(debts.isOnProbation('a', 0)).toBe(false)
    debts.charge('a', 20, 0)
    expect([0, 5999, 6000].map((now) => debts.isOnProbation('a', now))).toEqual([true, true, false])
    debts.charge('a', 10, 6000)
    expect(debts.isOnProbation('a', 6000)).toBe(false)
  })

  it('leave no network on probation for a cost that is taken back', () => {
    const debts = new Debts()
    debts.charge('a', 45, 0)
    debts.charge('a', 6, 0)
    debts.refund('a', 45)
    expect(debts.isOnProbation('a', 0)).toBe(false)
  })

  it('delay no connection within the credit', () => {
    const debts = new Debts()
    debts.charge('a', 50, 0)
    expect(debts.mustWait('a', 0)).toBe(false)
  })

  it('delay no connection longer than five minutes', () => {
    const debts = new Debts()
    debts.charge('a', 60_000, 0)
    expect([294_999, 295_000].map((now) => debts.mustWait('a', now))).toEqual([true, false])
  })

  it('can be taken back', () => {
    const debts = new Debts()
    debts.charge('a', 100, 0)
    debts.refund('a', 90)
    debts.refund('unknown', 90)
    expect(debts.mustWait('a', 0)).toBe(false)
  })

  it('are forgotten when they are paid, and bounded in number', () => {
    const debts = new Debts()
    for (let count = 0; count < 20_000; count += 1) debts.charge(String(count), 100, count / 1000)
    expect(debts.size).toBe(10_000)
    expect([debts.mustWait('0', 20), debts.mustWait('19999', 20)]).toEqual([false, true])
    debts.charge('last', 1, 1_000_000)
    expect(debts.size).toBe(1)
  })
})
