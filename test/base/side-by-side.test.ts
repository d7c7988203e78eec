import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { sideBySide } from '../../src/base/side-by-side.ts'

/** Work that ends as it is told to. */
function manual() {
  const begun: number[] = []
  const ends: { readonly well: () => void; readonly badly: (error: Error) => void }[] = []
  const work = (index: number) => {
    begun.push(index)
    return new Promise<void>((resolve, reject) => (ends[index] = { well: resolve, badly: reject }))
  }
  const end = async (...indices: readonly number[]) => {
    for (const index of indices) ends[index]?.well()
    await setTimeout()
  }
  return { begun, work, end, fail: (index: number, error: Error) => ends[index]?.badly(error) }
}

describe('work side by side', () => {
  it('begins in order, the next as soon as one has ended', async () => {
    const { begun, work, end } = manual()
    const done = sideBySide(5, 2, work)
    expect(begun).toEqual([0, 1])
    await end(1)
    expect(begun).toEqual([0, 1, 2])
    await end(0, 2)
    expect(begun).toEqual([0, 1, 2, 3, 4])
    await end(3, 4)
    await done
  })

  it('is no more than there is', async () => {
    const { begun, work, end } = manual()
    const done = sideBySide(2, 8, work)
    await end(0, 1)
    await done
    expect(begun).toEqual([0, 1])
  })

  it('rejects with the first failure at once, and begins nothing more', async () => {
    const { begun, work, end, fail } = manual()
    const done = sideBySide(4, 2, work)
    fail(1, new Error('the first'))
    await expect(done).rejects.toThrow('the first')
    await end(0)
    expect(begun).toEqual([0, 1])
  })
})
