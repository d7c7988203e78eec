import { describe, expect, it } from 'vitest'
import { Queue, type Place } from '../../src/base/queue.ts'
import { grownOldMiB } from '../support/memory.ts'

describe('a queue of values', () => {
  it('keeps the order in which its values came, wherever one leaves', () => {
    const queue = new Queue<string>()
    const a = queue.join('a')
    const b = queue.join('b')
    const c = queue.join('c')
    const d = queue.join('d')
    expect([queue.values(), queue.size]).toEqual([['a', 'b', 'c', 'd'], 4])
    expect(queue.leave(b)).toBe(true)
    expect(queue.values()).toEqual(['a', 'c', 'd'])
    expect(queue.leave(a)).toBe(true)
    expect(queue.first).toBe(c)
    expect(queue.leave(d)).toBe(true)
    queue.join('e')
    expect(queue.values()).toEqual(['c', 'e'])
  })

  it('lets no value leave twice', () => {
    const queue = new Queue<string>()
    const place = queue.join('a')
    queue.join('b')
    expect([queue.leave(place), queue.leave(place)]).toEqual([true, false])
    expect([queue.values(), queue.size]).toEqual([['b'], 1])
  })

  it('lets a value take the last place', () => {
    const queue = new Queue<string>()
    const [a, b] = [queue.join('a'), queue.join('b')]
    queue.join('c')
    queue.toEnd(a)
    expect([queue.values(), queue.first, queue.size]).toEqual([['b', 'c', 'a'], b, 3])
    queue.toEnd(a)
    queue.toEnd(b)
    expect(queue.values()).toEqual(['c', 'a', 'b'])
    expect([queue.leave(a), queue.leave(a)]).toEqual([true, false])
    expect(queue.values()).toEqual(['c', 'b'])
  })

  it('is empty when all values have left, and can be filled again', () => {
    const queue = new Queue<string>()
    queue.leave(queue.join('a'))
    expect([queue.first, queue.size, queue.values()]).toEqual([undefined, 0, []])
    queue.join('b')
    expect(queue.first?.value).toBe('b')
  })

  it('holds no value that has left', () => {
    const queue = new Queue<object>()
    const places: Place<object>[] = []
    const inQueue = grownOldMiB((value) => {
      places.push(queue.join(value))
      if (places.length > 3) queue.leave(places.shift() as Place<object>)
    })
    const set = new Set<object>()
    const inSet = grownOldMiB((value) => {
      set.add(value)
      for (const oldest of set) if (set.size > 3) set.delete(oldest)
    })
    expect(inQueue).toBeLessThan(inSet / 4)
  })
})
