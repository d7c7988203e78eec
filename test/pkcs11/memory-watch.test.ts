import { expect, it } from 'vitest'
import { MemoryWatch } from '../../adapters/pkcs11/supervisor/memory-watch.ts'

const MIB = 1024 * 1024

/** Weighs one host again and again. Returns the verdict of each time. */
async function weighed(...mib: number[]): Promise<(number | undefined)[]> {
  const watch = new MemoryWatch()
  let has = 0
  const host = { nativeBytes: async () => has * MIB }
  const said: (number | undefined)[] = []
  for (has of mib) said.push(await watch.outgrown(host))
  return said
}

it('a host is outgrown when it has grown by 64 MiB since it was first weighed', async () => {
  expect(await weighed(40, 60, 103, 104)).toEqual([undefined, undefined, undefined, 64])
})

it('a host that fills a cache at its start, and keeps it, is not outgrown', async () => {
  expect(await weighed(40, 90, 100, 100, 100)).toEqual(Array(5).fill(undefined))
})

it('a host that cannot be replaced is reported again when it has grown as much again', async () => {
  expect(await weighed(40, 104, 110, 167, 168, 170)).toEqual([undefined, 64, undefined, undefined, 64, undefined])
})

it('each host is weighed by itself', async () => {
  const watch = new MemoryWatch()
  expect(await watch.outgrown({ nativeBytes: async () => 40 * MIB })).toBeUndefined()
  expect(await watch.outgrown({ nativeBytes: async () => 400 * MIB })).toBeUndefined()
})

it('a host that is lost while it is weighed is not replaced', async () => {
  const lost = { nativeBytes: () => Promise.reject(new Error('gone')) }
  expect(await new MemoryWatch().outgrown(lost)).toBeUndefined()
})
