import { randomBytes, randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { algorithmRow, rsaSizes, type KeyAdapter, type RsaBits } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/pkcs11/index.ts'
import { usableKey, type UsableKey } from '../../adapters/software/usable-key.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { nistVectors, rfcVectors } from '../vectors/vectors.ts'
import { context, ref } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const kek = randomBytes(32)
const software = new Map<string, UsableKey>()
let adapter: KeyAdapter

const ROUNDS = 1000
const IN_FLIGHT = 16

/** The standards' cases with a 256-bit key: the key's name on the token, and the expected bytes. */
const vectors = [
  ...rfcVectors.flatMap(({ mode, cases }) => cases.map((each) => ({ mode, ...each }))),
  ...nistVectors
    .filter(({ cipher }) => cipher === 'aes-256')
    .flatMap(({ mode, wrap }) => wrap.filter((_, index) => index % 3 === 0).map((each) => ({ mode, ...each }))),
]
  .filter(({ key }) => key.length === 32)
  .map((each, index) => ({ ...each, name: `vector-${index}` }))

beforeAll(async () => {
  hsm.initToken('ekm')
  const stored = { enabled: true, created: new Date() }
  software.set('aes', await usableKey({ ...stored, name: 'aes', jwk: { kty: 'oct', k: kek.toString('base64url') } }))
  const jwks = new Map<RsaBits, Awaited<ReturnType<typeof rsaKey>>>()
  for (const bits of rsaSizes) {
    const jwk = await rsaKey(bits)
    jwks.set(bits, jwk)
    software.set(`rsa-${bits}`, await usableKey({ ...stored, name: `rsa-${bits}`, jwk }))
  }
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    for (const [bits, jwk] of jwks) objects.rsa(`rsa-${bits}`, {}, { ...jwk })
    for (const { name, key } of vectors) objects.aes(name, {}, key)
  })
  adapter = await open(hsm.options('ekm'), () => undefined)
})
afterAll(async () => {
  await adapter.close()
  hsm.remove()
})

const softwareKey = (name: string): UsableKey => {
  const key = software.get(name)
  if (key === undefined) throw new Error(`no key ${name}`)
  return key
}

/** Runs `work` for every value with some concurrency, as the gateway would. */
async function forEach<Value>(values: readonly Value[], work: (value: Value) => Promise<void>): Promise<void> {
  const rest = [...values]
  const loop = async () => {
    for (let value = rest.pop(); value !== undefined; value = rest.pop()) await work(value)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, loop))
}

const same = (a: Uint8Array, b: Uint8Array, about: string) => expect(Buffer.compare(a, b), about).toBe(0)

describe('the token and the software store, with the same key, agree on', { timeout: 120_000 }, () => {
  it.each([
    { algorithm: 'A256KWP', length: () => randomInt(1, 513) },
    { algorithm: 'A256KW', length: () => 8 * randomInt(2, 65) },
  ] as const)('$algorithm: 1,000 random data keys, there and back', async ({ algorithm, length }) => {
    const deks = Array.from({ length: ROUNDS }, () => randomBytes(length()))
    await forEach(deks, async (dek) => {
      const about = `${dek.length} bytes`
      const onTheToken = await adapter.wrap(ref('aes'), algorithm, dek, context())
      same(onTheToken, await softwareKey('aes').wrap(algorithm, dek), about)
      same(await softwareKey('aes').unwrap(algorithm, onTheToken), dek, about)
      same(await adapter.unwrap(ref('aes'), algorithm, onTheToken, context()), dek, about)
    })
  })

  it.each(
    (['RSA-OAEP', 'RSA-OAEP-256'] as const).flatMap((algorithm) => rsaSizes.map((bits) => ({ algorithm, bits }))),
  )('$algorithm with $bits bits: legal lengths', async ({ algorithm, bits }) => {
    const { max } = algorithmRow(algorithm).plaintext(bits)
    const name = `rsa-${bits}`
    // Large keys are slow and have many lengths. The smallest key is tested with every length. The others are tested
    // with every length up to a data key's, then with one in four, in one direction, and some lengths in the other.
    const isAsked = (length: number) => bits === 2048 || length <= 64 || length % 4 === 0 || length > max - 4
    const lengths = Array.from({ length: max }, (_, index) => index + 1).filter(isAsked)
    await forEach(lengths, async (length) => {
      const dek = randomBytes(length)
      const inSoftware = await softwareKey(name).wrap(algorithm, dek)
      same(await adapter.unwrap(ref(name), algorithm, inSoftware, context()), dek, `${length} bytes unwrapped`)
      if (length % 16 !== 0 && length !== max) return
      const wrapped = await adapter.wrap(ref(name), algorithm, dek, context())
      same(await softwareKey(name).unwrap(algorithm, wrapped), dek, `${length} bytes wrapped`)
    })
  })

  it('the values of the RFCs and of NIST', async () => {
    expect(vectors.length).toBeGreaterThan(20)
    await forEach(vectors, async ({ name, mode, plaintext, wrapped }) => {
      const algorithm = mode === 'wrap' ? 'A256KW' : 'A256KWP'
      same(await adapter.wrap(ref(name), algorithm, plaintext, context()), wrapped, name)
      same(await adapter.unwrap(ref(name), algorithm, wrapped, context()), plaintext, name)
    })
  })
})
