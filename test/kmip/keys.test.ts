import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Item } from '../../adapters/ttlv-codec/src/index.ts'
import { attribute } from '../../adapters/kmip/protocol/attributes.ts'
import { operation, state, tag } from '../../adapters/kmip/protocol/numbers.ts'
import type { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { aes256, kw } from '../contract/reference.ts'
import { callContext, rejection } from '../contract/suite.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { kmipFixture, ref, type KmipFixture } from './kmip-fixture.ts'
import { activateIfNeeded, registerAes, registerRsa, revoke } from './register.ts'

const dek = randomBytes(32)
const HOUR_MS = 3_600_000
const anHourAgo = new Date(Date.now() - HOUR_MS)
const inAnHour = new Date(Date.now() + HOUR_MS)
const date = (dateTag: number, value: Date): Item => ({
  tag: dateTag,
  type: 'DateTime',
  value: BigInt(Math.floor(value.getTime() / 1000)),
})

let fixture: KmipFixture
let cluster: KmipCluster

beforeAll(async () => {
  fixture = await kmipFixture({
    links: false,
    reasons: { ...(await import('./server/behaviour.ts')).cosmianLike.reasons },
  })
  cluster = fixture.cluster()
})

afterAll(async () => {
  cluster.close()
  await fixture[Symbol.asyncDispose]()
})

const codeOf = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    async () => (await rejection(call)).code,
  )

async function uses(name: string) {
  const { adapter, kek } = fixture
  return {
    describe: await codeOf(adapter.describe(ref(name), callContext())),
    wrap: await codeOf(adapter.wrap(ref(name), 'A256KW', dek, callContext())),
    unwrap: await codeOf(adapter.unwrap(ref(name), 'A256KW', kw(aes256(kek), dek), callContext())),
  }
}

interface StateCase {
  readonly what: string
  /** Registers a key with this name. */
  readonly make: (name: string) => Promise<unknown>
  readonly describe: string
  readonly wrap: string
  readonly unwrap: string
}

const register = (name: string, attributes: readonly Item[] = [], usageMask?: number) =>
  registerAes(cluster, fixture.kek, { name, attributes, ...(usageMask !== undefined && { usageMask }) })

async function active(name: string, attributes: readonly Item[] = [], usageMask?: number): Promise<string> {
  const id = await register(name, attributes, usageMask)
  await activateIfNeeded(cluster, id)
  return id
}

const revoked = async (name: string, reason: 1 | 2) =>
  cluster.call(revoke(await active(name), reason), AbortSignal.timeout(5000))

const all = (code: string) => ({ describe: code, wrap: code, unwrap: code })
const unwrapOnly = { describe: 'done', wrap: 'KEY_DISABLED', unwrap: 'done' }

describe('a KMIP key', () => {
  it.each<StateCase>([
    { what: 'active', make: (name) => active(name), ...all('done') },
    { what: 'pre-active', make: (name) => register(name), ...all('KEY_DISABLED') },
    { what: 'compromised', make: (name) => revoked(name, 2), ...all('KEY_DISABLED') },
    { what: 'deactivated', make: (name) => revoked(name, 1), ...unwrapOnly },
    {
      what: 'before its activation date',
      make: (name) => register(name, [attribute.activationDate(inAnHour)]),
      ...all('KEY_DISABLED'),
    },
    {
      what: 'after its deactivation date',
      make: (name) => active(name, [attribute.deactivationDate(anHourAgo)]),
      ...unwrapOnly,
    },
    {
      what: 'after its protect stop date',
      make: (name) => active(name, [date(tag.ProtectStopDate, anHourAgo)]),
      ...unwrapOnly,
    },
    {
      what: 'before its process start date',
      make: (name) => active(name, [date(tag.ProcessStartDate, inAnHour)]),
      describe: 'done',
      wrap: 'done',
      unwrap: 'KEY_DISABLED',
    },
    {
      what: 'allowed to decrypt alone',
      make: (name) => active(name, [], 0x08),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'done',
    },
    {
      what: 'allowed to encrypt alone',
      make: (name) => active(name, [], 0x04),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'OPERATION_FORBIDDEN',
    },
    {
      what: 'allowed to wrap and unwrap keys alone',
      make: (name) => active(name, [], 0x30),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'OPERATION_FORBIDDEN',
    },
  ])('that is $what: describe $describe, wrap $wrap, unwrap $unwrap', async ({ what, make, ...expected }) => {
    const name = what.replaceAll(' ', '-')
    await make(name)
    expect(await uses(name)).toEqual(expected)
  })

  it('of 128 bits is not supported', async () => {
    const id = await registerAes(cluster, randomBytes(16), { name: 'aes-128' })
    await activateIfNeeded(cluster, id)
    expect(await codeOf(fixture.adapter.describe(ref('aes-128'), callContext()))).toBe('KEY_UNSUPPORTED')
  })

  it('that is disabled on the server stops at once, whatever was known of it', async () => {
    const id = await active('to-be-revoked')
    expect((await uses('to-be-revoked')).wrap).toBe('done')
    await cluster.call(revoke(id, 2), AbortSignal.timeout(5000))
    const { adapter } = fixture
    expect(await codeOf(adapter.wrap(ref('to-be-revoked'), 'A256KW', dek, callContext()))).toBe('KEY_DISABLED')
  })

  it('that is compromised no longer unwraps after two seconds, even on a server that still decrypts with it', async () => {
    const id = await active('to-be-compromised')
    expect((await uses('to-be-compromised')).unwrap).toBe('done')
    await cluster.call(revoke(id, 2), AbortSignal.timeout(5000))
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect((await uses('to-be-compromised')).unwrap).toBe('KEY_DISABLED')
  })

  describe('that is destroyed', () => {
    const wrap = (name: string) => fixture.adapter.wrap(ref(name), 'A256KW', dek, callContext())
    /** A destroyed object disappears from some servers. On others its attributes stay. */
    const destructions = [
      { what: 'without a trace', destroy: (id: string) => fixture.server.operations.store.remove(id) },
      {
        what: 'and leaves its attributes',
        destroy: (id: string) => {
          const object = fixture.server.operations.store.find(id)
          if (object !== undefined) object.state = state.Destroyed
        },
      },
    ]

    it.each(destructions)('$what and replaced under its name is found at once', async ({ what, destroy }) => {
      const name = `reborn ${what}`
      const id = await active(name)
      await wrap(name)
      destroy(id)
      const kek = randomBytes(32)
      await activateIfNeeded(cluster, await registerAes(cluster, kek, { name }))
      expect(Buffer.compare(await wrap(name), kw(aes256(kek), dek))).toBe(0)
    })

    it.each(destructions)('$what is not there, and costs one more message a call', async ({ what, destroy }) => {
      const name = `gone ${what}`
      const id = await active(name)
      await wrap(name)
      destroy(id)
      const { received } = fixture.server
      for (let call = 0; call < 2; call++) {
        const before = received.length
        expect(await codeOf(wrap(name))).toBe('KEY_NOT_FOUND')
        expect(received.slice(before).filter((code) => code === operation.Locate).length).toBeLessThanOrEqual(1)
      }
    })
  })
})

describe('a reference to a KMIP key', () => {
  it('is an identifier only if it says so', async () => {
    const id = await active('by-id')
    const { adapter } = fixture
    expect(await adapter.describe(ref(`kmip:id=${id}`), callContext())).toEqual({ kty: 'oct', bits: 256 })
    expect(await codeOf(adapter.describe(ref(id), callContext()))).toBe('KEY_NOT_FOUND')
    expect(await adapter.describe(ref('kmip:name=by-id'), callContext())).toEqual({ kty: 'oct', bits: 256 })
  })

  it('that two keys share is refused, of one type or of two', async () => {
    await active('twice')
    await active('twice')
    expect(await codeOf(fixture.adapter.describe(ref('twice'), callContext()))).toBe('KEY_AMBIGUOUS')
    await active('both-types')
    await registerRsa(cluster, await rsaKey(2048), { name: 'both-types' })
    expect(await codeOf(fixture.adapter.describe(ref('both-types'), callContext()))).toBe('KEY_AMBIGUOUS')
  })

  it.each([
    'kmip:',
    'kmip:id=',
    'kmip:id',
    'kmip:id=1;id=2',
    'kmip:id=1;name=a',
    'kmip:pin=1',
    'kmip:public-id=1',
    'kmip:id=%zz',
    'kmip:id=1;public-id=1;public-name=a',
  ])('%s cannot be read', async (text) => {
    expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED')
  })

  it('is decoded if it was percent-encoded', async () => {
    await active('a;b=c d')
    expect(await fixture.adapter.describe(ref('kmip:name=a%3Bb%3Dc%20d'), callContext())).toEqual({
      kty: 'oct',
      bits: 256,
    })
  })
})

describe('the public half of a KMIP RSA key', () => {
  it('is found as configured, by identifier or name', async () => {
    const jwk = await rsaKey(2048)
    const { privateKeyId } = await registerRsa(cluster, jwk, { name: 'pair-1' })
    const { publicKeyId } = await registerRsa(cluster, jwk, { name: 'pair-2' })
    await activateIfNeeded(cluster, privateKeyId)
    for (const text of [
      `kmip:id=${privateKeyId};public-id=${publicKeyId}`,
      `kmip:id=${privateKeyId};public-name=pair-2`,
      `kmip:id=${privateKeyId}`,
      'pair-1',
    ]) {
      const description = await fixture.adapter.describe(ref(text), callContext())
      expect(description.kty, text).toBe('RSA')
    }
  })

  it('is reported if it is missing, or belongs to another key', async () => {
    const { privateKeyId, publicKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'lone' })
    await activateIfNeeded(cluster, privateKeyId)
    fixture.server.operations.store.remove(publicKeyId)
    expect(await codeOf(fixture.adapter.describe(ref('lone'), callContext()))).toBe('KEY_UNSUPPORTED')
    const other = await registerRsa(cluster, await rsaKey(3072), { name: 'larger' })
    const text = `kmip:name=lone;public-id=${other.publicKeyId}`
    expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED')
  })

  it('is never fetched before it is known to be public: a wrong identifier fetches no secret', async () => {
    const secretId = await active('secret')
    const { privateKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'misconfigured' })
    await activateIfNeeded(cluster, privateKeyId)
    const { received } = fixture.server
    const before = received.length
    for (const id of [secretId, privateKeyId]) {
      const text = `kmip:name=misconfigured;public-id=${id}`
      expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED')
    }
    expect(received.slice(before)).not.toContain(operation.Get)
  })
})

it('describing an AES key asks the KMIP server for attributes only', async () => {
  await active('described')
  const before = fixture.server.received.length
  await fixture.adapter.describe(ref('described'), callContext())
  // Background requests for keys of other tests only encrypt and decrypt.
  const others: readonly number[] = [operation.Encrypt, operation.Decrypt]
  const received = fixture.server.received.slice(before).filter((code) => !others.includes(code))
  expect(received).toEqual([operation.Locate, operation.GetAttributes])
})
