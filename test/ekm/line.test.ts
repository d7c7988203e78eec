import { getHeapSpaceStatistics } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { Line, type Place } from '../../src/base/line.ts'
import { collectGarbage } from '../support/memory.ts'

describe('a line', () => {
  it('keeps the order in which its values came, wherever one leaves', () => {
    const line = new Line<string>()
    const a = line.join('a')
    const b = line.join('b')
    const c = line.join('c')
    const d = line.join('d')
    expect([line.values(), line.size]).toEqual([['a', 'b', 'c', 'd'], 4])
    expect(line.leave(b)).toBe(true)
    expect(line.values()).toEqual(['a', 'c', 'd'])
    expect(line.leave(a)).toBe(true)
    expect(line.first).toBe(c)
    expect(line.leave(d)).toBe(true)
    line.join('e')
    expect(line.values()).toEqual(['c', 'e'])
  })

  it('lets nobody leave twice', () => {
    const line = new Line<string>()
    const place = line.join('a')
    line.join('b')
    expect([line.leave(place), line.leave(place)]).toEqual([true, false])
    expect([line.values(), line.size]).toEqual([['b'], 1])
  })

  it('is empty when all have left, and starts anew', () => {
    const line = new Line<string>()
    line.leave(line.join('a'))
    expect([line.first, line.size, line.values()]).toEqual([undefined, 0, []])
    line.join('b')
    expect(line.first?.value).toBe('b')
  })

  it('makes nothing grow old that has left', () => {
    const all = 60_000
    /** How many MiB grew old while values passed through. */
    const grownOld = (pass: (value: object) => void): number => {
      const used = () =>
        getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0
      // What is there is old from now on, and no full collection is due soon.
      collectGarbage()
      let grown = 0
      let before = used()
      for (let count = 0; count < all; count += 1) {
        pass({ bytes: new Array(100).fill(count) })
        if (count % 100 > 0) continue
        const now = used()
        // A full collection that comes all the same takes nothing away from what had grown.
        grown += Math.max(0, now - before)
        before = now
      }
      return grown / 2 ** 20
    }
    const line = new Line<object>()
    const places: Place<object>[] = []
    const inLine = grownOld((value) => {
      places.push(line.join(value))
      if (places.length > 3) line.leave(places.shift() as Place<object>)
    })
    const set = new Set<object>()
    const inSet = grownOld((value) => {
      set.add(value)
      for (const oldest of set) if (set.size > 3) set.delete(oldest)
    })
    expect(inLine).toBeLessThan(inSet / 4)
  })
})
