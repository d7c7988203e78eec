import { expect, it } from 'vitest'
import { MemoryWatch } from '../../adapters/pkcs11/supervisor/memory-watch.ts'

const MIB = 1024 * 1024

/** Weighs one host after the other every 5 seconds; `mib` tells its memory by its age in seconds. */
async function replacements(seconds: number, mib: (age: number) => number): Promise<{ age: number; grown: number }[]> {
  let now = 0
  const watch = new MemoryWatch(() => now * 1000)
  const found: { age: number; grown: number }[] = []
  for (let start = 0; now < seconds;) {
    const host = { nativeBytes: async () => mib(now - start) * MIB }
    for (let grown: number | undefined; grown === undefined && now < seconds; now += 5) {
      grown = await watch.outgrown(host)
      if (grown !== undefined) found.push({ age: now - start, grown })
    }
    start = now
  }
  return found
}

const ages = async (...of: Parameters<typeof replacements>) => (await replacements(...of)).map(({ age }) => age)

it('a host that leaks is replaced when it has grown by 8 MiB since it was warm', async () => {
  // SoftHSM's 270 bytes of a call at 125 calls a second.
  const perSecond = (270 * 125) / MIB
  const found = await replacements(3600, (age) => 40 + 6 * Math.min(1, age / 10) + perSecond * age)
  expect(new Set(found.map(({ age }) => age))).toEqual(new Set([270]))
  expect(found.every(({ grown }) => grown === 15)).toBe(true)
  expect(found).toHaveLength(13)
})

it('but not more than once a minute, however much is asked of it', async () => {
  expect(await ages(300, (age) => 40 + 2 * age)).toEqual([60, 60, 60, 60])
})

it('unless it grows by 256 MiB before', async () => {
  expect(await replacements(60, (age) => 40 + 20 * age)).toEqual(Array(3).fill({ age: 15, grown: 300 }))
})

it('one that fills a cache at its start, and keeps it, is left alone', async () => {
  expect(await ages(3600, (age) => 40 + Math.min(200, 20 * age))).toEqual([])
})

it('one that cannot be replaced is asked again when it has grown as much again', async () => {
  let now = 0
  let mib = 40
  const watch = new MemoryWatch(() => now)
  const host = { nativeBytes: async () => mib * MIB }
  const weigh = (atMs: number, has: number) => {
    now = atMs
    mib = has
    return watch.outgrown(host)
  }
  expect([await weigh(0, 40), await weigh(20_000, 40), await weigh(60_000, 48)]).toEqual([undefined, undefined, 8])
  expect([await weigh(65_000, 55), await weigh(80_000, 56), await weigh(115_000, 64)]).toEqual(Array(3).fill(undefined))
  expect(await weigh(120_000, 64)).toBe(16)
})

it('one that is lost while it is weighed is nobody to replace', async () => {
  const lost = { nativeBytes: () => Promise.reject(new Error('gone')) }
  expect(await new MemoryWatch().outgrown(lost)).toBeUndefined()
})
