import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  AdapterError,
  algorithmRow,
  rsaSizes as allRsaSizes,
  wrapAlgorithms,
  type CallContext,
  type KeyAdapter,
  type KeyRef,
  type RsaBits,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import { badCiphertexts } from './bad-ciphertexts.ts'
import { contextOf } from '../support/context.ts'
import type { AdapterHarness, RsaPrivateJwk, StartedAdapter, TestKey } from './harness.ts'
import { aes256, kw, kwp, oaepUnwrap, oaepWrap, type OaepHash } from './reference.ts'
import { rsaKey } from './rsa-keys.ts'

/** A context as the gateway would make it, with a deadline that no test reaches. */
export const callContext = (signal: AbortSignal = new AbortController().signal): CallContext =>
  contextOf(signal, performance.now() + 60_000, 'contract-suite')

/** The `AdapterError` with which `call` rejects. Any other result fails the test. */
export async function rejection(call: Promise<unknown>, about = 'the call'): Promise<AdapterError> {
  const outcome = await call.then(
    () => 'a result',
    (error: unknown) => error,
  )
  if (outcome instanceof AdapterError) return outcome
  throw new Error(`${about} settled with ${String(outcome)} and not with an AdapterError`)
}

/** The errors of calls that run side by side. */
const rejections = (calls: readonly Promise<unknown>[]): Promise<AdapterError[]> =>
  Promise.all(calls.map((call) => rejection(call)))

// Vitest's diff is not used, because it would print bytes that may be key material.
function expectSameBytes(actual: Uint8Array, expected: Uint8Array, about: string): void {
  expect(Buffer.compare(actual, expected), about).toBe(0)
}

const octAlgorithms = ['A256KW', 'A256KWP'] as const
const rsaAlgorithms = ['RSA-OAEP', 'RSA-OAEP-256'] as const
const oaepHash = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' } as const satisfies Record<string, OaepHash>

const kek = randomBytes(32)
const otherKek = randomBytes(32)
const aesReference = { A256KW: kw, A256KWP: kwp }

/** Every length from `first` to `last`. */
const lengths = (first: number, last: number, step = 1): number[] =>
  Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, index) => first + index * step)

/** Runs side by side: RFC 3394 may need a round trip for each step, but the backend serves several callers. */
const allAtOnce = async <T>(cases: readonly T[], check: (value: T) => Promise<void>): Promise<void> => {
  await Promise.all(cases.map(check))
}

const HOUR_MS = 3_600_000
const anHourAgo = new Date(Date.now() - HOUR_MS)
const inAnHour = new Date(Date.now() + HOUR_MS)

/**
 * The definition of an adapter: everything that `adapters/contract` promises, asked of one backend. Every backend
 * passes this one suite.
 */
export function describeAdapter(harness: AdapterHarness): void {
  const { longestDataKey = 4096, bitsBetweenFlips = 1, rsaSizes = allRsaSizes } = harness
  const upToLongest = (...all: number[]) => all.filter((length) => length <= longestDataKey)
  const legalOctLengths = {
    A256KW: upToLongest(...lengths(16, 72, 8), 512, longestDataKey),
    A256KWP: upToLongest(...lengths(1, 72), 511, 512, longestDataKey),
  }

  describe(`the adapter contract, kept by ${harness.name}`, () => {
    let started: StartedAdapter
    let adapter: KeyAdapter
    const jwks = new Map<RsaBits, RsaPrivateJwk>()

    const ref = (name: string): KeyRef => started.ref(name)
    const wrap = (name: string, algorithm: WrapAlgorithm, plaintext: Uint8Array) =>
      adapter.wrap(ref(name), algorithm, plaintext, callContext())
    const unwrap = (name: string, algorithm: WrapAlgorithm, wrapped: Uint8Array) =>
      adapter.unwrap(ref(name), algorithm, wrapped, callContext())
    const jwkOf = (bits: RsaBits): RsaPrivateJwk => {
      const jwk = jwks.get(bits)
      if (jwk === undefined) throw new Error(`no RSA key of ${bits} bits was made`)
      return jwk
    }

    beforeAll(async () => {
      await Promise.all(rsaSizes.map(async (bits) => jwks.set(bits, await rsaKey(bits))))
      started = await harness.start(keysFor(harness, rsaSizes, jwkOf))
      adapter = started.adapter
    }, 120_000)

    afterAll(() => started.stop())

    const supported = (algorithm: WrapAlgorithm) => harness.algorithms.includes(algorithm)
    /** A key that supports `algorithm`. */
    const keyFor = (algorithm: WrapAlgorithm) => (algorithmRow(algorithm).kty === 'oct' ? 'aes' : 'rsa-2048')
    const rsaCases = rsaAlgorithms
      .filter(supported)
      .flatMap((algorithm) => rsaSizes.map((bits) => ({ algorithm, bits })))

    it('names its product', () => {
      expect(adapter.product.vendor).not.toBe('')
      expect(adapter.product.name).not.toBe('')
    })

    describe('inspection of the backend', () => {
      const inspection = () => {
        if (adapter.inspection === undefined) throw new Error('this backend tells an operator nothing')
        return adapter.inspection
      }

      it('reports facts as scalars', async () => {
        const { fields, servers = [] } = await inspection().facts(callContext())
        const values = [fields, ...servers.map((server) => server.fields)].flatMap((facts) => Object.values(facts))
        expect(values.map((value) => typeof value).filter((type) => !/string|number|boolean/.test(type))).toEqual([])
        expect(values.length).toBeGreaterThan(0)
        expect(servers.filter(({ unusable }) => unusable !== undefined)).toEqual([])
      })

      it.each(['aes', 'rsa-2048'])('reports for each algorithm of the key %s how it is done', async (name) => {
        const { kty } = await adapter.describe(ref(name), callContext())
        const ways = await inspection().ways(ref(name), callContext())
        const algorithms = wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === kty)
        expect(ways.map(({ algorithm, way }) => [algorithm, way !== undefined])).toEqual(
          algorithms.map((algorithm) => [algorithm, supported(algorithm)]),
        )
        for (const { way, rejected } of ways) {
          if (way === undefined) expect(rejected.length).toBeGreaterThan(0)
          for (const other of rejected) expect([other.way, other.reason]).not.toContain('')
        }
      })

      it('reports nothing for a missing key', async () => {
        expect((await rejection(inspection().ways(ref('nobody'), callContext()))).code).toBe('KEY_NOT_FOUND')
      })
    })

    describe('describe', () => {
      it('returns oct and 256 for an AES key, and nothing else', async () => {
        expect(await adapter.describe(ref('aes'), callContext())).toStrictEqual({ kty: 'oct', bits: 256 })
      })

      it.each(rsaSizes)('returns type, size, n and e of an RSA key of %i bits, and nothing else', async (bits) => {
        const description = await adapter.describe(ref(`rsa-${bits}`), callContext())
        expect(Object.keys(description).sort()).toEqual(['bits', 'e', 'kty', 'n'])
        if (description.kty !== 'RSA') throw new Error('not described as an RSA key')
        expect(description.bits).toBe(bits)
        expect(description.n).toHaveLength(bits / 8)
        expect(description.e[0]).not.toBe(0)
        expectSameBytes(description.n, Buffer.from(jwkOf(bits).n, 'base64url'), 'n')
        expectSameBytes(description.e, Buffer.from(jwkOf(bits).e, 'base64url'), 'e')
      })
    })

    describe.each(octAlgorithms.filter(supported))('%s', (algorithm) => {
      it('wraps every legal length as an independent computation does, and unwraps it', async () => {
        await allAtOnce(legalOctLengths[algorithm], async (length) => {
          const plaintext = randomBytes(length)
          const wrapped = await wrap('aes', algorithm, plaintext)
          expect(wrapped).toHaveLength(algorithmRow(algorithm).wrappedBytes(length, 256))
          expectSameBytes(wrapped, aesReference[algorithm](aes256(kek), plaintext), `${length} bytes wrapped`)
          expectSameBytes(await unwrap('aes', algorithm, wrapped), plaintext, `${length} bytes unwrapped`)
        })
      })

      it('keeps zero bytes at both ends of the data', async () => {
        const lengthsWithEnds = legalOctLengths[algorithm].filter((length) => length >= 8 && length <= 72)
        await allAtOnce(lengthsWithEnds, async (length) => {
          const plaintext = Buffer.alloc(length)
          const wrapped = await wrap('aes', algorithm, plaintext)
          expectSameBytes(await unwrap('aes', algorithm, wrapped), plaintext, `${length} zero bytes`)
        })
      })

      it('is deterministic', async () => {
        const plaintext = randomBytes(32)
        expectSameBytes(
          await wrap('aes', algorithm, plaintext),
          await wrap('aes', algorithm, plaintext),
          'the same data wrapped twice',
        )
      })

      it('depends on the key', async () => {
        const plaintext = randomBytes(32)
        const wrapped = await wrap('aes-other', algorithm, plaintext)
        expectSameBytes(wrapped, aesReference[algorithm](aes256(otherKek), plaintext), 'wrapped under the other key')
      })

      it('refuses a wrapped 32-byte data key with one bit flipped', async () => {
        const wrapped = await wrap('aes', algorithm, randomBytes(32))
        await allAtOnce(lengths(0, wrapped.length * 8 - 1, bitsBetweenFlips), async (bit) => {
          const error = await rejection(unwrap('aes', algorithm, withBitFlipped(wrapped, bit)), `bit ${bit}`)
          expect(error.code, `bit ${bit}`).toBe('CIPHERTEXT_INVALID')
        })
      })
    })

    describe.each(rsaCases)('$algorithm with $bits bits', ({ algorithm, bits }) => {
      const { max } = algorithmRow(algorithm).plaintext(bits)
      const name = `rsa-${bits}`

      it('wraps the shortest and the longest data so that node:crypto can open it', async () => {
        for (const length of [1, 32, max]) {
          const plaintext = randomBytes(length)
          const wrapped = await wrap(name, algorithm, plaintext)
          expect(wrapped).toHaveLength(bits / 8)
          expectSameBytes(oaepUnwrap(jwkOf(bits), oaepHash[algorithm], wrapped), plaintext, `${length} bytes`)
        }
      })

      it('unwraps what node:crypto wrapped, the shortest and the longest', async () => {
        for (const length of [1, 32, max]) {
          const plaintext = randomBytes(length)
          const wrapped = oaepWrap(jwkOf(bits), oaepHash[algorithm], plaintext)
          expectSameBytes(await unwrap(name, algorithm, wrapped), plaintext, `${length} bytes`)
        }
      })

      it('keeps zero bytes at both ends of the data', async () => {
        for (const length of [1, 32, max]) {
          const wrapped = await wrap(name, algorithm, Buffer.alloc(length))
          expectSameBytes(await unwrap(name, algorithm, wrapped), Buffer.alloc(length), `${length} zero bytes`)
        }
      })

      it('returns another value each time', async () => {
        const plaintext = randomBytes(32)
        const first = await wrap(name, algorithm, plaintext)
        expect(Buffer.compare(first, await wrap(name, algorithm, plaintext))).not.toBe(0)
      })

      it.each([0, max + 1, bits / 8])('refuses to wrap %i bytes', async (length) => {
        expect((await rejection(wrap(name, algorithm, randomBytes(length)))).code).toBe('INPUT_INVALID')
      })
    })

    describe('refusals', () => {
      it.each([
        { algorithm: 'A256KW', length: 0 },
        { algorithm: 'A256KW', length: 1 },
        { algorithm: 'A256KW', length: 8 },
        { algorithm: 'A256KW', length: 15 },
        { algorithm: 'A256KW', length: 17 },
        { algorithm: 'A256KW', length: 31 },
        { algorithm: 'A256KW', length: 33 },
        { algorithm: 'A256KWP', length: 0 },
      ] as const)('meet $algorithm for $length bytes', async ({ algorithm, length }) => {
        const expected = supported(algorithm) ? 'INPUT_INVALID' : 'ALGORITHM_UNSUPPORTED'
        expect((await rejection(wrap('aes', algorithm, randomBytes(length)))).code).toBe(expected)
      })

      it.each([
        ...octAlgorithms.map((algorithm) => ({ algorithm, key: 'rsa-2048' })),
        ...rsaAlgorithms.map((algorithm) => ({ algorithm, key: 'aes' })),
        ...wrapAlgorithms.filter((name) => !supported(name)).map((name) => ({ algorithm: name, key: keyFor(name) })),
      ])('meet $algorithm with the key $key', async ({ algorithm, key }) => {
        expect((await rejection(wrap(key, algorithm, randomBytes(32)))).code).toBe('ALGORITHM_UNSUPPORTED')
        expect((await rejection(unwrap(key, algorithm, randomBytes(256)))).code).toBe('ALGORITHM_UNSUPPORTED')
      })

      // Names are case-sensitive, and the names of JavaScript's object members are no keys.
      it.each(['absent', 'AES', 'aes-', 'constructor', 'toString'])(
        'meet the name %s, which no key has',
        async (name) => {
          for (const { code } of await rejections(everyKeyCall(adapter, ref(name), callContext()))) {
            expect(code).toBe('KEY_NOT_FOUND')
          }
        },
      )

      it.each(unusableKeys(harness))('meet every operation with the key $name', async ({ name }) => {
        const calls = everyKeyCall(adapter, ref(name), callContext(), keyAlgorithm(name, harness))
        for (const { code } of await rejections(calls)) expect(code).toBe('KEY_DISABLED')
      })

      it('do not meet a key within its dates', async () => {
        for (const algorithm of octAlgorithms.filter(supported)) {
          const plaintext = randomBytes(32)
          const wrapped = await wrap('aes-in-date', algorithm, plaintext)
          expectSameBytes(await unwrap('aes-in-date', algorithm, wrapped), plaintext, algorithm)
        }
      })
    })

    describe('unwrap has one opaque failure', () => {
      const messages = new Set<string>()

      it.each(harness.algorithms)('with %s: the same code and message, whatever the cause', async (algorithm) => {
        const values = badCiphertexts(algorithm, {
          kek,
          otherKek,
          jwk: jwkOf(2048),
          otherJwk: await rsaKey(2048, 'other'),
        })
        await allAtOnce(values, async ({ cause, value }) => {
          const error = await rejection(unwrap(keyFor(algorithm), algorithm, value), cause)
          expect(error.code, cause).toBe('CIPHERTEXT_INVALID')
          expect(error.cause, cause).toBeUndefined()
          messages.add(error.message)
        })
        expect([...messages]).toHaveLength(1)
      })

      it.each(rsaAlgorithms.filter(supported))('with %s: flipped bits all over the value', async (algorithm) => {
        const wrapped = oaepWrap(jwkOf(2048), oaepHash[algorithm], randomBytes(32))
        const bits = lengths(0, wrapped.length * 8 - 1, 37)
        const codes = await Promise.all(
          bits.map(async (bit) => (await rejection(unwrap('rsa-2048', algorithm, withBitFlipped(wrapped, bit)))).code),
        )
        expect(new Set(codes)).toEqual(new Set(['CIPHERTEXT_INVALID']))
      })
    })

    describe.each(harness.algorithms)('%s, as to its buffers,', (algorithm) => {
      const name = keyFor(algorithm)

      it('does not change its arguments, and keeps none of them', async () => {
        const plaintext = randomBytes(32)
        const before = Buffer.from(plaintext)
        const wrapped = await wrap(name, algorithm, plaintext)
        expectSameBytes(plaintext, before, 'the plaintext after wrap')
        plaintext.fill(0)

        const wrappedBefore = Buffer.from(wrapped)
        const unwrapped = await unwrap(name, algorithm, wrapped)
        expectSameBytes(wrapped, wrappedBefore, 'the wrapped value after unwrap')
        wrapped.fill(0)
        expectSameBytes(unwrapped, before, 'the result after the wrapped value was overwritten')
      })

      it('returns a result that can be zeroed without an effect on others', async () => {
        const plaintext = randomBytes(32)
        const wrapped = await wrap(name, algorithm, plaintext)
        const [first, second] = await Promise.all([unwrap(name, algorithm, wrapped), unwrap(name, algorithm, wrapped)])
        first.fill(0)
        expectSameBytes(second, plaintext, 'a result of the same time')
        expectSameBytes(await unwrap(name, algorithm, wrapped), plaintext, 'a later result')
      })

      it('accepts a view into a larger buffer, and reads nothing around it', async () => {
        const plaintext = randomBytes(32)
        const wrapped = await wrap(name, algorithm, viewInNoise(plaintext))
        expectSameBytes(await unwrap(name, algorithm, viewInNoise(wrapped)), plaintext, 'through views')
      })
    })

    describe('the adapter, called concurrently,', () => {
      it('answers 64 mixed calls at once, each rightly', async () => {
        const calls = Array.from({ length: 64 }, async (_, index) => {
          const algorithm = harness.algorithms[index % harness.algorithms.length] ?? 'A256KW'
          const name = keyFor(algorithm)
          if (index % 16 === 7) {
            expect((await rejection(unwrap(name, algorithm, randomBytes(40)))).code).toBe('CIPHERTEXT_INVALID')
          } else if (index % 16 === 11) {
            expect((await rejection(wrap('absent', algorithm, randomBytes(32)))).code).toBe('KEY_NOT_FOUND')
          } else if (index % 16 === 13) {
            expect((await adapter.describe(ref(name), callContext())).kty).toBe(algorithmRow(algorithm).kty)
          } else {
            const plaintext = createHash('sha256').update(`data key ${index}`).digest()
            const unwrapped = await unwrap(name, algorithm, await wrap(name, algorithm, plaintext))
            expectSameBytes(unwrapped, plaintext, `call ${index}`)
          }
        })
        await Promise.all(calls)
      })

      it.each(rsaAlgorithms.filter(supported))('does not block the event loop by %s', async (algorithm) => {
        const bits = Math.max(...rsaSizes) as RsaBits
        const plaintext = randomBytes(32)
        const wrapped = oaepWrap(jwkOf(bits), oaepHash[algorithm], plaintext)
        // A blocked loop stands still during all of the work; an open loop only during a small part. A busy machine can
        // spoil one round, but a blocking call spoils every round, so that one good round shows the rest.
        const shares: number[] = []
        while (shares.length < 30 && !shares.some((share) => share < 0.6)) {
          const { longestGap, elapsed, results } = await whileTicking(() =>
            Promise.all(Array.from({ length: 20 }, () => unwrap(`rsa-${bits}`, algorithm, wrapped))),
          )
          for (const result of results) expectSameBytes(result, plaintext, 'unwrapped in parallel')
          shares.push(longestGap / elapsed)
        }
        expect(Math.min(...shares)).toBeLessThan(0.6)
      })
    })

    describe('a call’s signal', () => {
      it('that has fired already: every call rejects with its reason', async () => {
        const reason = new AdapterError('CANCELLED', 'the caller went away')
        const context = callContext(AbortSignal.abort(reason))
        const calls = [ref('aes'), ref('absent')].flatMap((key) => everyKeyCall(adapter, key, context))
        for (const error of await rejections([...calls, adapter.probe(context)])) expect(error).toBe(reason)
      })

      it('that fires during a call: the call still settles, with its result or with the reason', async () => {
        for (const algorithm of harness.algorithms) {
          const plaintext = randomBytes(32)
          const wrapped = await wrap(keyFor(algorithm), algorithm, plaintext)
          const reason = new AdapterError('DEADLINE_EXCEEDED', 'too late')
          const controller = new AbortController()
          const call = adapter.unwrap(ref(keyFor(algorithm)), algorithm, wrapped, callContext(controller.signal))
          controller.abort(reason)
          const outcome = await call.catch((error: unknown) => error)
          if (outcome instanceof Uint8Array) expectSameBytes(outcome, plaintext, algorithm)
          else expect(outcome).toBe(reason)
        }
      })
    })

    it('the adapter’s probe resolves while the backend can serve', async () => {
      await expect(adapter.probe(callContext())).resolves.toBeUndefined()
    })

    describe('the adapter’s close', () => {
      it('lets running calls settle, can be called again, and makes later calls fail with CLOSED', async () => {
        const own = await harness.start([{ name: 'aes', material: { kty: 'oct', k: kek } }])
        try {
          const underWay = everyKeyCall(own.adapter, own.ref('aes'), callContext(), harness.algorithms[0])
          const settled = Promise.allSettled(underWay)
          await own.adapter.close()
          await own.adapter.close()
          for (const outcome of await settled) {
            if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(AdapterError)
          }
          const refs = [own.ref('aes'), own.ref('absent')]
          const late = refs.flatMap((key) => everyKeyCall(own.adapter, key, callContext()))
          for (const { code } of await rejections([...late, own.adapter.probe(callContext())])) {
            expect(code).toBe('CLOSED')
          }
        } finally {
          await own.stop()
        }
      })
    })
  })
}

function keysFor(
  harness: AdapterHarness,
  rsaSizes: readonly RsaBits[],
  jwkOf: (bits: RsaBits) => RsaPrivateJwk,
): TestKey[] {
  const oct = { kty: 'oct', k: kek } as const
  const rsa = (bits: RsaBits) => ({ kty: 'RSA', bits, jwk: jwkOf(bits) }) as const
  return [
    { name: 'aes', material: oct },
    { name: 'aes-other', material: { kty: 'oct', k: otherKek } },
    ...rsaSizes.map((bits) => ({ name: `rsa-${bits}`, material: rsa(bits) })),
    {
      name: 'aes-in-date',
      material: oct,
      ...(harness.dates.includes('notBefore') && { notBefore: anHourAgo }),
      ...(harness.dates.includes('expires') && { expires: inAnHour }),
    },
    ...unusableKeys(harness).map(({ name, kty, ...state }) => ({
      name,
      material: kty === 'oct' ? oct : rsa(2048),
      ...state,
    })),
  ]
}

/** The keys that must answer `KEY_DISABLED`, of the kinds that this backend can hold. */
function unusableKeys(harness: AdapterHarness) {
  const states: Readonly<Record<string, Pick<TestKey, 'disabled' | 'notBefore' | 'expires'>>> = {
    ...(harness.canDisable && { disabled: { disabled: true } }),
    ...(harness.dates.includes('notBefore') && { early: { notBefore: inAnHour } }),
    ...(harness.dates.includes('expires') && { expired: { expires: anHourAgo } }),
  }
  return Object.entries(states).flatMap(([state, flags]) =>
    (['oct', 'RSA'] as const).map((kty) => ({ name: `${kty === 'oct' ? 'aes' : 'rsa'}-${state}`, kty, ...flags })),
  )
}

/** An algorithm that the key `name` would support if it were usable. */
const keyAlgorithm = (name: string, harness: AdapterHarness): WrapAlgorithm | undefined =>
  harness.algorithms.find((algorithm) => algorithmRow(algorithm).kty === (name.startsWith('aes') ? 'oct' : 'RSA'))

/** Each call that names a key, started at once. */
function everyKeyCall(
  adapter: KeyAdapter,
  key: KeyRef,
  context: CallContext,
  algorithm: WrapAlgorithm = 'A256KW',
): Promise<unknown>[] {
  return [
    adapter.describe(key, context),
    adapter.wrap(key, algorithm, randomBytes(32), context),
    adapter.unwrap(key, algorithm, randomBytes(40), context),
  ]
}

function withBitFlipped(bytes: Uint8Array, bit: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
  return flipped
}

function viewInNoise(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(randomBytes(bytes.length + 20))
  larger.set(bytes, 7)
  return larger.subarray(7, 7 + bytes.length)
}

/** Runs `work` beside a timer of 1 ms. Returns the longest time for which the timer could not fire. */
async function whileTicking<T>(work: () => Promise<T>) {
  const start = performance.now()
  let last = start
  let longestGap = 0
  const tick = () => {
    const now = performance.now()
    longestGap = Math.max(longestGap, now - last)
    last = now
  }
  const timer = setInterval(tick, 1)
  try {
    const results = await work()
    tick()
    return { results, longestGap, elapsed: performance.now() - start }
  } finally {
    clearInterval(timer)
  }
}
