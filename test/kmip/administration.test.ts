import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyAdministration } from '../../adapters/contract/index.ts'
import { administer, open, type KmipOptions } from '../../adapters/kmip/index.ts'
import { callContext } from '../contract/suite.ts'
import { operatorError } from '../software/operator-error.ts'
import { ref } from './kmip-fixture.ts'
import { startPyKmip } from './pykmip.ts'
import { startTestServer } from './test-server.ts'

interface Started {
  readonly options: KmipOptions
  readonly stop: () => Promise<void>
}

const servers: readonly { name: string; dates: boolean; rsaUnwrap: boolean; start: () => Promise<Started> }[] = [
  { name: 'a real PyKMIP server', dates: false, rsaUnwrap: false, start: startPyKmip },
  ...(['1.4', '2.1'] as const).map((protocol) => ({
    name: `a test server in KMIP ${protocol}`,
    dates: true,
    rsaUnwrap: true,
    start: async () => {
      const { options, server } = await startTestServer()
      return { options: { ...options, protocol }, stop: () => server.stop() }
    },
  })),
]

describe.each(servers)('keys create and keys list on $name', ({ dates, rsaUnwrap, start }) => {
  let started: Started
  let keys: KeyAdministration

  beforeAll(async () => {
    started = await start()
    keys = await administer(started.options)
  }, 90_000)

  afterAll(() => started.stop())

  it('find no key at first', async () => {
    expect(await keys.list()).toEqual([])
  })

  it('list a key that was created, which serves', async () => {
    const aes = await keys.create('new-aes', { kty: 'oct', bits: 256 }, {})
    const rsa = await keys.create('new-rsa', { kty: 'RSA', bits: 2048 }, {})
    expect(aes).toMatchObject({ name: 'new-aes', kty: 'oct', bits: 256, enabled: true })
    expect(rsa).toMatchObject({ name: 'new-rsa', kty: 'RSA', bits: 2048, enabled: true })
    expect(await keys.list()).toEqual([aes, rsa])

    const adapter = await open(started.options, () => undefined)
    const dek = randomBytes(32)
    expect((await adapter.describe(ref('new-rsa'), callContext())).kty).toBe('RSA')
    for (const [key, algorithm] of [
      ['new-aes', 'A256KW'],
      ...(rsaUnwrap ? ([['new-rsa', 'RSA-OAEP-256']] as const) : []),
    ] as const) {
      const wrapped = await adapter.wrap(ref(key), algorithm, dek, callContext())
      expect(Buffer.compare(await adapter.unwrap(ref(key), algorithm, wrapped, callContext()), dek)).toBe(0)
    }
    await adapter.close()
  })

  it('use a name only once', async () => {
    await keys.create('once', { kty: 'oct', bits: 256 }, {})
    expect((await operatorError(keys.create('once', { kty: 'RSA', bits: 2048 }, {}))).code).toBe('KEY_EXISTS')
  })

  it.each([
    { name: 'a b', spec: { kty: 'oct', bits: 256 }, code: 'KEY_NAME_INVALID' },
    { name: 'small', spec: { kty: 'oct', bits: 128 }, code: 'KEY_SPEC_INVALID' },
    { name: 'small', spec: { kty: 'RSA', bits: 1024 }, code: 'KEY_SPEC_INVALID' },
  ] as const)('refuse $spec named $name', async ({ name, spec, code }) => {
    expect((await operatorError(keys.create(name, spec, {}))).code).toBe(code)
  })

  it('refuse dates in the wrong order', async () => {
    const validity = { notBefore: new Date(2000), expires: new Date(1000) }
    expect((await operatorError(keys.create('dated', { kty: 'oct', bits: 256 }, validity))).code).toBe(
      'KEY_DATES_INVALID',
    )
  })

  it('keep dates, so that a key is not active yet; or make no key at all', async () => {
    const before = await keys.list()
    const notBefore = new Date(Math.floor(Date.now() / 1000) * 1000 + 3_600_000)
    const expires = new Date(notBefore.getTime() + 3_600_000)
    const created = keys.create('future', { kty: 'oct', bits: 256 }, { notBefore, expires })
    if (dates) expect(await created).toMatchObject({ enabled: false, notBefore, expires })
    else {
      expect(['KEY_DATES_INVALID', 'KMIP_REFUSED']).toContain((await operatorError(created)).code)
      expect(await keys.list()).toEqual(before)
    }
  })
})

it('keys list explains that the key manager is away', async () => {
  const { options, server } = await startTestServer()
  await server.stop()
  expect((await operatorError((await administer(options)).list())).code).toBe('KMIP_UNAVAILABLE')
})
