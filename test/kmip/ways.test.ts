import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import type { KmipOptions } from '../../adapters/kmip/index.ts'
import { operation, resultReason } from '../../adapters/kmip/protocol/numbers.ts'
import { aes256, kw, kwp, oaepWrap } from '../contract/reference.ts'
import { callContext, rejection } from '../contract/suite.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { kmipFixture, ref, type KmipFixture } from './kmip-fixture.ts'
import { activateIfNeeded, registerAes, revoke } from './register.ts'
import { cosmianLike, type Behaviour } from './server/behaviour.ts'
import { eventually } from '../support/eventually.ts'

const dek = randomBytes(32)
const reference = { A256KW: kw, A256KWP: kwp }

/** The way in the `kmip_way` report of each algorithm. */
const waysOf = ({ reports }: KmipFixture) =>
  Object.fromEntries(
    reports.all.flatMap(({ event, fields }) => (event === 'kmip_way' ? [[fields['algorithm'], fields['way']]] : [])),
  ) as Record<string, unknown>

async function tryAll({ adapter }: KmipFixture) {
  const outcome = (key: string, algorithm: WrapAlgorithm) =>
    adapter.wrap(ref(key), algorithm, dek, callContext()).catch(() => undefined)
  for (const algorithm of ['A256KW', 'A256KWP'] as const) await outcome('aes', algorithm)
  for (const algorithm of ['RSA-OAEP', 'RSA-OAEP-256'] as const) await outcome('rsa', algorithm)
}

describe('the way that the KMIP adapter chooses', () => {
  it.each<{
    what: string
    behaviour: Partial<Behaviour>
    options?: Partial<KmipOptions>
    ways: Record<WrapAlgorithm, string>
  }>([
    {
      what: 'native where it is right',
      behaviour: {},
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'composed where the native mode does something else',
      behaviour: { keyWrap: 'swapped' },
      ways: { A256KW: 'composed', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'composed where there is no native mode',
      behaviour: { keyWrap: 'none', ecb: 'PKCS5' },
      ways: { A256KW: 'composed', A256KWP: 'composed', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'native without single blocks to compare with',
      behaviour: { ecb: 'none' },
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'native without single blocks, though export is allowed',
      behaviour: { ecb: 'none', exports: true },
      options: { keyAccess: 'export' },
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'none without single blocks where the native mode is that of the other algorithm',
      behaviour: { ecb: 'none', keyWrap: 'swapped' },
      ways: { A256KW: 'none', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'none without single blocks where the native mode opens what was damaged',
      behaviour: { ecb: 'none', keyWrap: 'unchecked' },
      ways: { A256KW: 'none', A256KWP: 'none', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'none without single blocks where it encrypts parts of a value separately',
      behaviour: { ecb: 'none', keyWrap: 'by parts' },
      ways: { A256KW: 'none', A256KWP: 'none', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'exported without single blocks where the native mode is wrong and that is allowed',
      behaviour: { ecb: 'none', keyWrap: 'swapped', exports: true },
      options: { keyAccess: 'export' },
      ways: { A256KW: 'exported', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'none where only the key itself can be had, and that is not allowed',
      behaviour: { ecb: 'none', keyWrap: 'none', oaep: false, exports: true },
      ways: { A256KW: 'none', A256KWP: 'none', 'RSA-OAEP': 'none', 'RSA-OAEP-256': 'none' },
    },
    {
      what: 'exported only where that is allowed',
      behaviour: { ecb: 'none', keyWrap: 'none', oaep: false, exports: true },
      options: { keyAccess: 'export' },
      ways: { A256KW: 'exported', A256KWP: 'exported', 'RSA-OAEP': 'exported', 'RSA-OAEP-256': 'exported' },
    },
    {
      what: 'not exported, though allowed, where there is another',
      behaviour: { exports: true },
      options: { keyAccess: 'export' },
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
    {
      what: 'none for a hash of MGF1 that cannot be stated and is another',
      behaviour: { versions: ['1.3'], defaultMgfHash: 4 },
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'none' },
    },
    {
      what: 'native from 1.4 on, where it can be stated',
      behaviour: { versions: ['1.4'], defaultMgfHash: 4 },
      ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
    },
  ])('is $what', async ({ behaviour, options = {}, ways }) => {
    await using fixture = await kmipFixture(behaviour, options)
    await tryAll(fixture)
    expect(waysOf(fixture)).toEqual(ways)
  })

  it('exports no key that has another way, nor one that may not be exported', async () => {
    for (const options of [{}, { keyAccess: 'export' }] as const) {
      await using fixture = await kmipFixture({ exports: true }, options)
      await tryAll(fixture)
      // The one Get fetches the public key.
      expect(fixture.server.received.filter((code) => code === operation.Get)).toHaveLength(1)
    }
  })

  it('is a warning if keys are exported', async () => {
    await using fixture = await kmipFixture({ ecb: 'none', keyWrap: 'none', exports: true }, { keyAccess: 'export' })
    await tryAll(fixture)
    const loud = fixture.reports.all.filter(({ level }) => level === 'warn').map(({ event }) => event)
    expect(loud).toEqual(expect.arrayContaining(['kmip_keys_exported', 'kmip_way']))
  })

  it('is one round trip for a native mode', async () => {
    await using fixture = await kmipFixture()
    await tryAll(fixture)
    const asked = async () => {
      const before = fixture.server.received.length
      const wrapped = await fixture.adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
      await fixture.adapter.unwrap(ref('aes'), 'A256KW', wrapped, callContext())
      return fixture.server.received.slice(before)
    }
    // On a busy machine the key’s attributes may be due just then.
    await expect.poll(asked).toEqual([operation.Encrypt, operation.Decrypt])
  })
})

describe('a native mode that has no single blocks to compare with', () => {
  /** The behaviour of a second key, when a first one is known. */
  async function secondKey(behaviour: Partial<Behaviour>) {
    const fixture = await kmipFixture({ ecb: 'none', ...behaviour })
    const cluster = fixture.cluster()
    await activateIfNeeded(cluster, await registerAes(cluster, randomBytes(32), { name: 'second' }))
    cluster.close()
    await fixture.adapter.describe(ref('aes'), callContext())
    return fixture
  }

  it('is not used where another key opens what it wraps', async () => {
    await using fixture = await secondKey({ keyWrap: 'one key' })
    const { adapter, aesId } = fixture
    expect((await rejection(adapter.wrap(ref('second'), 'A256KW', dek, callContext()))).code).toBe(
      'ALGORITHM_UNSUPPORTED',
    )
    const [way] = (await adapter.inspection?.ways(ref('second'), callContext())) ?? []
    expect(way?.rejected.map(({ reason }) => reason).join()).toContain(`${aesId} unwraps what it wraps`)
  })

  it('is used where another key cannot open its values, and no key is made or fetched', async () => {
    await using fixture = await secondKey({ exports: true })
    const { adapter, server } = fixture
    const before = server.operations.store.all().length
    await adapter.wrap(ref('second'), 'A256KW', dek, callContext())
    expect(server.operations.store.all()).toHaveLength(before)
    expect(server.received).not.toContain(operation.Get)
  })

  it('is not judged while the server is busy: a server too busy to refuse a damaged value is asked again', async () => {
    await using fixture = await kmipFixture({ ecb: 'none' })
    const { adapter, server } = fixture
    server.fault = { kind: 'refused: limit exceeded', operation: operation.Decrypt }
    const wrap = () => adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    expect((await rejection(wrap())).code).toBe('BACKEND_BUSY')
    server.fault = undefined
    await eventually(wrap)
  })

  it('unwraps with a key that may no longer wrap', async () => {
    await using fixture = await kmipFixture({ ecb: 'none' })
    const { adapter, kek, aesId } = fixture
    const cluster = fixture.cluster()
    await cluster.call(revoke(aesId, 1), AbortSignal.timeout(5000))
    cluster.close()
    const unwrapped = await adapter.unwrap(ref('aes'), 'A256KW', kw(aes256(kek), dek), callContext())
    expect(Buffer.compare(unwrapped, dek)).toBe(0)
  })

  it('returns no result of a value that the server reads as a list', async () => {
    await using fixture = await kmipFixture({ ecb: 'none' })
    const { adapter, kek } = fixture
    const five = [1, 2, 3, 4, 5]
    const values = [
      // Five wrapped values with their lengths are just as long as one wrapped value.
      Buffer.concat([
        Buffer.of(0x87, 0x87, 5),
        ...five.flatMap(() => [Buffer.of(16), randomBytes(16)]),
        randomBytes(32),
      ]),
      Buffer.concat([Buffer.of(0x87, 0x87, 0), randomBytes(29)]),
    ]
    for (const value of values) {
      expect((await rejection(adapter.wrap(ref('aes'), 'A256KW', value, callContext()))).code).toBe(
        'BACKEND_UNAVAILABLE',
      )
    }
    const notAList = Buffer.concat([Buffer.of(0x87, 0x87, 0xff), randomBytes(29)])
    const wrapped = await adapter.wrap(ref('aes'), 'A256KW', notAList, callContext())
    expect(Buffer.compare(wrapped, kw(aes256(kek), notAList))).toBe(0)
  })
})

describe('a server that takes data which begins with 87 87 for a list', () => {
  /** Data that the server reads as a list: an empty one, or values with these lengths and any rest. */
  const lists = [
    Buffer.concat([Buffer.of(0x87, 0x87, 0), randomBytes(29)]),
    Buffer.concat([Buffer.of(0x87, 0x87, 1, 16), randomBytes(28)]),
    Buffer.concat([Buffer.of(0x87, 0x87, 1, 28), randomBytes(28)]),
    Buffer.concat([Buffer.of(0x87, 0x87, 5, 1, 1, 5, 2, 2, 5, 3, 3, 5, 4, 4, 5, 5), randomBytes(16)]),
    Buffer.concat([Buffer.of(0x87, 0x87, 0xff), randomBytes(29)]),
  ]

  it.each(['A256KW', 'A256KWP'] as const)('wraps and unwraps it rightly all the same by %s', async (algorithm) => {
    for (const behaviour of [{}, { keyWrap: 'none' }] as const) {
      await using fixture = await kmipFixture(behaviour)
      const { adapter, kek } = fixture
      for (const data of lists) {
        const wrapped = await adapter.wrap(ref('aes'), algorithm, data, callContext())
        expect(Buffer.compare(wrapped, reference[algorithm](aes256(kek), data))).toBe(0)
        expect(Buffer.compare(await adapter.unwrap(ref('aes'), algorithm, wrapped, callContext()), data)).toBe(0)
      }
    }
  })

  it('never gets such a value for RSA, and its result for one is not returned', async () => {
    await using fixture = await kmipFixture()
    const { adapter } = fixture
    const forged = Buffer.concat([Buffer.of(0x87, 0x87, 0), randomBytes(253)])
    const error = await rejection(adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', forged, callContext()))
    expect(error.code).toBe('BACKEND_UNAVAILABLE')
  })

  it('is not misled by a value like such a list among the blocks', async () => {
    await using fixture = await kmipFixture({ keyWrap: 'none' })
    const { adapter } = fixture
    const forged = Buffer.concat([Buffer.alloc(8, 1), Buffer.alloc(24), Buffer.of(0x87, 0x87, 0, 0, 0, 0, 0, 0)])
    for (const value of [forged, Buffer.concat([Buffer.of(0x87, 0x87, 13), Buffer.alloc(37)])]) {
      expect((await rejection(adapter.unwrap(ref('aes'), 'A256KW', value, callContext()))).code).toBe(
        'CIPHERTEXT_INVALID',
      )
    }
  })
})

describe('a KMIP key that was replaced under its identifier', () => {
  it('is noticed by composed wrapping, and its result is not returned', async () => {
    await using fixture = await kmipFixture({ keyWrap: 'none' })
    const { adapter, server, aesId } = fixture
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    server.operations.store.find(aesId)?.material.fill(7)
    expect((await rejection(adapter.wrap(ref('aes'), 'A256KW', dek, callContext()))).code).toBe('BACKEND_UNAVAILABLE')
  })
})

describe('an unwrap that fails for an unclear reason is judged by a known answer', () => {
  it.each([resultReason.GeneralFailure, resultReason.InvalidField])('after reason %i', async (badCiphertext) => {
    await using fixture = await kmipFixture({ reasons: { ...cosmianLike.reasons, badCiphertext } })
    const { adapter, server } = fixture
    // The value must be below the modulus, or the server would not be asked.
    const bad = oaepWrap(await rsaKey(2048), 'sha256', dek).map((byte, index) => (index === 255 ? byte ^ 1 : byte))
    const unwrap = () => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', bad, callContext())
    expect((await rejection(unwrap())).code).toBe('CIPHERTEXT_INVALID')
    expect((await rejection(adapter.unwrap(ref('aes'), 'A256KW', randomBytes(40), callContext()))).code).toBe(
      'CIPHERTEXT_INVALID',
    )
    server.fault = { kind: 'refused: general failure', operation: operation.Decrypt }
    expect((await rejection(unwrap())).code).toBe('BACKEND_UNAVAILABLE')
  })
})

it('many callers of composed wrapping share their round trips', async () => {
  await using fixture = await kmipFixture({ keyWrap: 'none' })
  const { adapter, kek, server } = fixture
  await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
  const before = server.received.length
  const deks = Array.from({ length: 64 }, (_, index) => createHash('sha256').update(`${index}`).digest())
  const wrapped = await Promise.all(deks.map((data) => adapter.wrap(ref('aes'), 'A256KW', data, callContext())))
  wrapped.forEach((value, index) => {
    expect(Buffer.compare(value, kw(aes256(kek), deks[index] ?? Buffer.alloc(0)))).toBe(0)
  })
  // One call needs 24 steps. A few more are needed because not all calls begin with the first step.
  expect(server.received.length - before).toBeLessThan(50)
})
