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
  readonly name: string
  readonly make: () => Promise<unknown>
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

describe('a key', () => {
  it.each<StateCase>([
    { name: 'active', make: () => active('active'), ...all('done') },
    { name: 'pre-active', make: () => register('pre-active'), ...all('KEY_DISABLED') },
    { name: 'compromised', make: () => revoked('compromised', 2), ...all('KEY_DISABLED') },
    { name: 'deactivated', make: () => revoked('deactivated', 1), ...unwrapOnly },
    {
      name: 'before-activation',
      make: () => register('before-activation', [attribute.activationDate(inAnHour)]),
      ...all('KEY_DISABLED'),
    },
    {
      name: 'after-deactivation',
      make: () => active('after-deactivation', [attribute.deactivationDate(anHourAgo)]),
      ...unwrapOnly,
    },
    {
      name: 'after-protect-stop',
      make: () => active('after-protect-stop', [date(tag.ProtectStopDate, anHourAgo)]),
      ...unwrapOnly,
    },
    {
      name: 'before-process-start',
      make: () => active('before-process-start', [date(tag.ProcessStartDate, inAnHour)]),
      describe: 'done',
      wrap: 'done',
      unwrap: 'KEY_DISABLED',
    },
    {
      name: 'may-not-encrypt',
      make: () => active('may-not-encrypt', [], 0x08),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'done',
    },
    {
      name: 'may-not-decrypt',
      make: () => active('may-not-decrypt', [], 0x04),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'OPERATION_FORBIDDEN',
    },
    {
      name: 'may-wrap-only-in-name',
      make: () => active('may-wrap-only-in-name', [], 0x30),
      describe: 'done',
      wrap: 'OPERATION_FORBIDDEN',
      unwrap: 'OPERATION_FORBIDDEN',
    },
  ])('that is $name', async ({ name, make, ...expected }) => {
    await make()
    expect(await uses(name)).toEqual(expected)
  })

  it('of 128 bits is not supported', async () => {
    const id = await registerAes(cluster, randomBytes(16), { name: 'aes-128' })
    await activateIfNeeded(cluster, id)
    expect(await codeOf(fixture.adapter.describe(ref('aes-128'), callContext()))).toBe('KEY_UNSUPPORTED')
  })

  it('that is disabled on the server stops at once, whatever was believed of it', async () => {
    const id = await active('to-be-revoked')
    expect((await uses('to-be-revoked')).wrap).toBe('done')
    await cluster.call(revoke(id, 2), AbortSignal.timeout(5000))
    const { adapter } = fixture
    expect(await codeOf(adapter.wrap(ref('to-be-revoked'), 'A256KW', dek, callContext()))).toBe('KEY_DISABLED')
  })

  it('that is compromised unwraps no more after two seconds, on a server that goes on decrypting with it', async () => {
    const id = await active('to-be-compromised')
    expect((await uses('to-be-compromised')).unwrap).toBe('done')
    await cluster.call(revoke(id, 2), AbortSignal.timeout(5000))
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect((await uses('to-be-compromised')).unwrap).toBe('KEY_DISABLED')
  })

  describe('that is destroyed', () => {
    const wrap = (name: string) => fixture.adapter.wrap(ref(name), 'A256KW', dek, callContext())
    /** As a server that keeps nothing does it, and as one does that keeps the attributes. */
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

    it.each(destructions)('$what and made anew under its name is found at once', async ({ what, destroy }) => {
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

describe('a reference', () => {
  it('can be an identifier, and is one only where it says so', async () => {
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

  it('decodes what was encoded', async () => {
    await active('a;b=c d')
    expect(await fixture.adapter.describe(ref('kmip:name=a%3Bb%3Dc%20d'), callContext())).toEqual({
      kty: 'oct',
      bits: 256,
    })
  })
})

describe('the public half of an RSA key', () => {
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

  it('that is missing, or another key, is said to be', async () => {
    const { privateKeyId, publicKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'lone' })
    await activateIfNeeded(cluster, privateKeyId)
    fixture.server.operations.store.remove(publicKeyId)
    expect(await codeOf(fixture.adapter.describe(ref('lone'), callContext()))).toBe('KEY_UNSUPPORTED')
    const other = await registerRsa(cluster, await rsaKey(3072), { name: 'larger' })
    const text = `kmip:name=lone;public-id=${other.publicKeyId}`
    expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED')
  })

  it('is never fetched before it is known to be public: a wrong identifier brings no secret here', async () => {
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

it('a description of an AES key asks for attributes only', async () => {
  await active('described')
  const before = fixture.server.received.length
  await fixture.adapter.describe(ref('described'), callContext())
  // What is still under way for the keys of other tests only encrypts and decrypts.
  const others: readonly number[] = [operation.Encrypt, operation.Decrypt]
  const received = fixture.server.received.slice(before).filter((code) => !others.includes(code))
  expect(received).toEqual([operation.Locate, operation.GetAttributes])
})
