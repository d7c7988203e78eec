import { describe, expect, it } from 'vitest'
import { Recent } from '../../src/base/recent.ts'

describe('values of which the most recently used are kept', () => {
  it('forgets the one that was used longest ago', () => {
    const recent = new Recent<number>(3)
    for (const [value, key] of ['a', 'b', 'c'].entries()) recent.set(key, value)
    expect([recent.get('a'), recent.get('a')]).toEqual([0, 0])
    recent.set('b', 4)
    recent.set('d', 5)
    expect(['a', 'b', 'c', 'd'].map((key) => recent.get(key))).toEqual([0, 4, undefined, 5])
    expect(recent.size).toBe(3)
  })

  it('replaces a value without forgetting another', () => {
    const recent = new Recent<number>(2)
    recent.set('a', 1)
    recent.set('b', 2)
    for (let value = 3; value < 10; value += 1) recent.set('a', value)
    expect([recent.get('a'), recent.get('b'), recent.size]).toEqual([9, 2, 2])
  })

  it('remembers nothing of a key that it does not have', () => {
    const recent = new Recent<number>(1)
    expect([recent.get('a'), recent.size]).toEqual([undefined, 0])
  })
})
