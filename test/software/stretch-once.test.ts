import * as crypto from 'node:crypto'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/software/index.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import { contextOf } from '../support/context.ts'
import { octKey, PASSPHRASE, secret, temporaryDirectory } from './fixtures.ts'

vi.mock(import('node:crypto'), async (original) => {
  const actual = await original()
  return { ...actual, scrypt: vi.fn(actual.scrypt) as unknown as typeof actual.scrypt }
})

const KEYS = 100

let temporary: Awaited<ReturnType<typeof temporaryDirectory>>

beforeAll(async () => {
  temporary = await temporaryDirectory()
  const store = await KeyStore.openOrCreate({ ...temporary, passphrase: secret(PASSPHRASE) })
  await Promise.all(Array.from({ length: KEYS }, (_, index) => store.add(octKey(`key-${index}`))))
})
afterAll(() => temporary.remove())

it('a store of 100 keys at the default cost opens quickly, because the passphrase is stretched once', async () => {
  const scrypt = vi.mocked(crypto.scrypt)
  scrypt.mockClear()
  const start = performance.now()
  const adapter = await open({ ...temporary, passphrase: secret(PASSPHRASE) }, () => undefined)
  const elapsed = performance.now() - start
  expect(scrypt).toHaveBeenCalledTimes(1)
  expect(elapsed).toBeLessThan(3000)
  const context = contextOf(new AbortController().signal, Infinity, 'test')
  for (const index of [0, KEYS - 1]) {
    expect(await adapter.describe(`key-${index}` as KeyRef, context)).toEqual({ kty: 'oct', bits: 256 })
  }
  await adapter.close()
})
