import { availableParallelism } from 'node:os'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { startAll } from '../../src/service/workers/start-all.ts'

const COUNT = availableParallelism() + 2

/** Workers that load and serve when they are told to. */
function manual() {
  const spawned: number[] = []
  const begun: number[] = []
  const load: (() => void)[] = []
  const serve: { readonly well: (port: number) => void; readonly badly: (error: Error) => void }[] = []
  const spawn = (index: number) => {
    spawned.push(index)
    return { index, loaded: new Promise<void>((resolve) => (load[index] = resolve)) }
  }
  const begin = ({ index }: { readonly index: number }) => {
    begun.push(index)
    return new Promise<number>((resolve, reject) => (serve[index] = { well: resolve, badly: reject }))
  }
  return { spawned, begun, load, serve, spawn, begin }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

describe('the start of workers', () => {
  it('loads as many at a time as there are processors, and has the first serve before any other', async () => {
    const { spawned, begun, load, serve, spawn, begin } = manual()
    const started = startAll(COUNT, spawn, begin)
    expect(spawned).toEqual(upTo(COUNT - 2))
    expect(begun).toEqual([0])
    load[0]?.()
    await setTimeout()
    expect(spawned).toEqual(upTo(COUNT - 1))
    expect(begun).toEqual([0])

    serve[0]?.well(443)
    await setTimeout()
    expect(begun).toEqual(upTo(COUNT - 1))
    for (const index of upTo(COUNT)) {
      load[index]?.()
      await setTimeout()
      serve[index]?.well(443)
    }
    expect(await started).toBe(443)
    expect(begun).toEqual(upTo(COUNT))
  })

  it('ends with the failure of the first, and spawns no more', async () => {
    const { spawned, begun, load, serve, spawn, begin } = manual()
    const started = startAll(COUNT, spawn, begin)
    serve[0]?.badly(new Error('the store cannot be opened'))
    await expect(started).rejects.toThrow('the store cannot be opened')
    for (const loaded of load) loaded()
    await setTimeout()
    expect(spawned).toEqual(upTo(COUNT - 2))
    expect(begun).toEqual([0])
  })
})
