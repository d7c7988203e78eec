import { expect, it } from 'vitest'
import type { KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/software/index.ts'
import { KeyStore } from '../../adapters/software/store.ts'
import { contextOf } from '../support/context.ts'
import { octKey, PASSPHRASE, secret, temporaryDirectory } from './fixtures.ts'

/** Makes a store at the default cost. Resolves with the time that it takes to open. */
async function openingMs(keys: number): Promise<number> {
  const temporary = await temporaryDirectory()
  const passphrase = () => secret(PASSPHRASE)
  const store = await KeyStore.openOrCreate({ ...temporary, passphrase: passphrase() })
  await Promise.all(Array.from({ length: keys }, (_, index) => store.add(octKey(`key-${index}`))))
  const start = performance.now()
  const adapter = await open({ ...temporary, passphrase: passphrase() }, () => undefined)
  const elapsed = performance.now() - start
  const context = contextOf(new AbortController().signal, Infinity, 'test')
  for (const index of [0, keys - 1]) {
    expect(await adapter.describe(`key-${index}` as KeyRef, context)).toEqual({ kty: 'oct', bits: 256 })
  }
  await adapter.close()
  await temporary.remove()
  return elapsed
}

it('the software store stretches its passphrase once, however many keys it has', async () => {
  // Stretching the passphrase costs a hundred times as much as reading a key.
  expect(await openingMs(100)).toBeLessThan(10 * (await openingMs(1)))
})
