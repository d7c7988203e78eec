import { randomBytes } from 'node:crypto'
import { chmod, readFile, rename, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { AdapterError, type KeyAdapter, type KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/software/index.ts'
import type { StoredKey } from '../../adapters/software/stored-key.ts'
import { aes256, kw } from '../contract/reference.ts'
import { rejection } from '../contract/suite.ts'
import { contextOf } from '../support/context.ts'
import { operatorError } from './operator-error.ts'
import { octKey, Reports, temporaryStore } from './fixtures.ts'
import { eventually } from '../support/eventually.ts'

const context = contextOf(new AbortController().signal, Infinity, 'test')
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** `works`, or the code of the refusal. */
const state = (adapter: KeyAdapter, name: string) =>
  adapter.describe(name as KeyRef, context).then(
    () => 'works',
    (error: unknown) => (error instanceof AdapterError ? error.code : 'another error'),
  )

const becomes = (adapter: KeyAdapter, states: Readonly<Record<string, string>>) =>
  eventually(async () => {
    const now = await Promise.all(Object.keys(states).map(async (name) => [name, await state(adapter, name)]))
    expect(Object.fromEntries(now)).toEqual(states)
  })

type Cleanup = typeof onTestFinished

/** A store with `keys`, and an adapter that serves it. */
async function serve(keys: readonly StoredKey[], afterwards: Cleanup) {
  const { store, directory, remove, ...options } = await temporaryStore()
  for (const key of keys) await store.add(key)
  const reports = new Reports()
  const reopen = () => open({ directory, ...options }, reports.report)
  const adapter = await reopen()
  afterwards(async () => {
    await adapter.close()
    await remove()
  })
  return { store, directory, adapter, reports, reopen, path: (name: string) => join(directory, `${name}.jwe`) }
}

// These tests run side by side because they mostly wait for the adapter's next look at its directory.
describe.concurrent('a running adapter and its directory', () => {
  it('notices keys that are added, disabled, enabled and removed', async ({ onTestFinished }) => {
    const [on, off] = [octKey('on'), octKey('off', false)]
    const { store, adapter, reports, path } = await serve([on, off, octKey('gone'), octKey('same')], onTestFinished)
    await becomes(adapter, { added: 'KEY_NOT_FOUND', on: 'works', off: 'KEY_DISABLED', gone: 'works', same: 'works' })
    await store.add(octKey('added'))
    await store.replace({ ...on, enabled: false })
    await store.replace({ ...off, enabled: true })
    await unlink(path('gone'))
    await becomes(adapter, { added: 'works', on: 'KEY_DISABLED', off: 'works', gone: 'KEY_NOT_FOUND', same: 'works' })
    expect(reports.of('key_loaded', 'added')).toHaveLength(1)
    expect(reports.of('key_removed', 'gone')).toEqual([
      { level: 'warn', event: 'key_removed', fields: { key: 'gone' } },
    ])
    expect(reports.all.some(({ fields }) => fields['key'] === 'same')).toBe(false)
  })

  it('wraps with the new key after its file was replaced', async ({ onTestFinished }) => {
    const { store, adapter } = await serve([octKey('aes')], onTestFinished)
    const next = octKey('aes')
    await store.replace(next)
    const plaintext = randomBytes(32)
    const expected = kw(aes256(Buffer.from(next.jwk.k, 'base64url')), plaintext)
    await eventually(async () => {
      const wrapped = await adapter.wrap('aes' as KeyRef, 'A256KW', plaintext, context)
      expect(Buffer.compare(wrapped, expected)).toBe(0)
    })
  })

  it('reports a damaged file once, serves its last good version, and reads it again after the repair', async ({
    onTestFinished,
  }) => {
    const { store, adapter, reports, path } = await serve([octKey('cut'), octKey('exposed')], onTestFinished)
    const good = await readFile(path('cut'))
    await writeFile(path('cut'), good.subarray(0, 100))
    await chmod(path('exposed'), 0o644)
    await store.add(octKey('new'))
    await chmod(path('new'), 0o644)
    await writeFile(path('not a name'), good, { mode: 0o600 })
    const damaged = ['cut', 'exposed', 'new', 'not a name']
    await eventually(() => {
      for (const key of damaged) expect(reports.of('key_file_refused', key), key).toHaveLength(1)
    })
    for (const key of damaged) {
      const [refused] = reports.of('key_file_refused', key)
      expect(refused?.level).toBe('error')
      expect(refused?.fields['reason']).toContain(path(key))
      expect(refused?.fields['still_serving']).toBe(key === 'cut' || key === 'exposed')
    }
    await becomes(adapter, { cut: 'works', exposed: 'works', new: 'KEY_NOT_FOUND' })

    // Another look at the directory must not report the same again.
    await pause(1200)
    for (const key of damaged) expect(reports.of('key_file_refused', key), key).toHaveLength(1)

    await writeFile(path('cut'), good)
    await chmod(path('new'), 0o600)
    await eventually(() => {
      for (const key of ['cut', 'new']) expect(reports.of('key_loaded', key).length).toBeGreaterThan(0)
    })
    await becomes(adapter, { cut: 'works', exposed: 'works', new: 'works' })
  })

  it('reports a lost directory once, serves on with the keys in memory, and fails its probe', async ({
    onTestFinished,
  }) => {
    const { directory, adapter, reports } = await serve([octKey('aes')], onTestFinished)
    await rename(directory, `${directory}-away`)
    await eventually(() => {
      expect(reports.all.map(({ event }) => event)).toEqual(['key_store_unreadable'])
    })
    expect((await rejection(adapter.probe(context))).code).toBe('BACKEND_UNAVAILABLE')
    expect(await state(adapter, 'aes')).toBe('works')
    await rename(`${directory}-away`, directory)
    await expect(adapter.probe(context)).resolves.toBeUndefined()
    await pause(1500)
    expect(reports.all).toHaveLength(1)
    expect(await state(adapter, 'aes')).toBe('works')
  })

  it('reads nothing any more once the adapter is closed', async ({ onTestFinished }) => {
    const { store, adapter, reports, path } = await serve([octKey('aes')], onTestFinished)
    await adapter.close()
    await unlink(path('aes'))
    await store.add(octKey('added'))
    await pause(1500)
    expect(reports.all).toEqual([])
    expect(await state(adapter, 'added')).toBe('CLOSED')
  })

  it('fails the next start over one unreadable key, with an error that names the file', async ({ onTestFinished }) => {
    const { store, reopen, path } = await serve([octKey('good')], onTestFinished)
    await store.add(octKey('bad'))
    await writeFile(path('bad'), 'x')
    const error = await operatorError(reopen())
    expect(error.code).toBe('KEY_FILE_INVALID')
    expect(error.message).toContain(path('bad'))
  })
})

it('a running adapter heeds a key’s dates without a change on disk', async () => {
  const start = Math.ceil(Date.now() / 1000) * 1000
  const keys = [
    { ...octKey('expiring'), expires: new Date(start + 60_000) },
    { ...octKey('waiting'), notBefore: new Date(start + 60_000) },
  ]
  const { adapter } = await serve(keys, onTestFinished)
  // Only the clock is false: the adapter reads it at each call.
  vi.useFakeTimers({ toFake: ['Date'] })
  onTestFinished(() => {
    vi.useRealTimers()
  })
  const both = async () => [await state(adapter, 'expiring'), await state(adapter, 'waiting')]
  vi.setSystemTime(start + 59_999)
  expect(await both()).toEqual(['works', 'KEY_DISABLED'])
  vi.setSystemTime(start + 60_000)
  expect(await both()).toEqual(['KEY_DISABLED', 'works'])
})

it('a closed adapter leaves no timer behind', async () => {
  const { reopen } = await serve([octKey('aes')], onTestFinished)
  const timers = timersOf('adapters/software/adapter.ts')
  const adapter = await reopen()
  expect(timers.size).toBe(1)
  await adapter.close()
  expect(timers.size).toBe(0)
})

/**
 * Counts timers that one source file sets from now on and has not cleared. Other timers of the process do not matter.
 */
function timersOf(file: string): ReadonlySet<unknown> {
  const timers = new Set<unknown>()
  const { setTimeout: set, clearTimeout: clear } = globalThis
  vi.spyOn(globalThis, 'setTimeout').mockImplementation((...args: Parameters<typeof set>) => {
    const timer = set(...args)
    if (new Error().stack?.includes(file)) timers.add(timer)
    return timer
  })
  vi.spyOn(globalThis, 'clearTimeout').mockImplementation((timer) => {
    timers.delete(timer)
    clear(timer)
  })
  onTestFinished(() => void vi.restoreAllMocks())
  return timers
}
