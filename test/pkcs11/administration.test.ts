import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rsaSizes, type KeyAdministration, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { CKA, CKO } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { context, recorder, ref } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
let administration: KeyAdministration

beforeAll(async () => {
  hsm.initToken('ekm')
  administration = await administer(hsm.options('ekm'))
})
afterAll(() => hsm.remove())

describe('keys create', () => {
  it.each([{ kty: 'oct', bits: 256 } as const, ...rsaSizes.map((bits) => ({ kty: 'RSA', bits }) as const)])(
    'makes a key of $kty $bits that stays in the token and serves',
    async (spec) => {
      const name = `${spec.kty}-${spec.bits}`
      expect(await administration.create(name, spec, {})).toEqual({ name, ...spec, enabled: true })
      const keyClass = spec.kty === 'oct' ? CKO.SECRET_KEY : CKO.PRIVATE_KEY
      onToken('ekm', (objects) => {
        const flag = (type: number) => objects.read(name, keyClass, type)[0]
        expect([flag(CKA.SENSITIVE), flag(CKA.EXTRACTABLE), flag(CKA.TOKEN), flag(CKA.PRIVATE)]).toEqual([1, 0, 1, 1])
        expect(() => objects.read(name, keyClass, spec.kty === 'oct' ? CKA.VALUE : 0x123)).toThrow()
      })
      const { report, of } = recorder()
      const adapter = await open(hsm.options('ekm', { sessions: 1, requireSensitive: true }), report)
      try {
        const algorithms: WrapAlgorithm[] = spec.kty === 'oct' ? ['A256KW', 'A256KWP'] : ['RSA-OAEP', 'RSA-OAEP-256']
        for (const algorithm of algorithms) {
          const wrapped = await adapter.wrap(ref(name), algorithm, new Uint8Array(32).fill(7), context())
          expect(await adapter.unwrap(ref(name), algorithm, wrapped, context())).toHaveLength(32)
        }
        expect(of('hsm_key_exposed')).toEqual([])
      } finally {
        await adapter.close()
      }
    },
  )

  it('never replaces a key', async () => {
    const again = administration.create('oct-256', { kty: 'oct', bits: 256 }, {})
    await expect(again).rejects.toMatchObject({ name: 'OperatorError', code: 'KEY_EXISTS' })
  })

  it.each([
    { name: 'a b', spec: { kty: 'oct', bits: 256 } as const, code: 'KEY_NAME_INVALID' },
    { name: 'small', spec: { kty: 'oct', bits: 128 } as const, code: 'KEY_MATERIAL_INVALID' },
    { name: 'small', spec: { kty: 'RSA', bits: 1024 } as const, code: 'KEY_MATERIAL_INVALID' },
  ])('refuses $name of $spec.bits bits', async ({ name, spec, code }) => {
    await expect(administration.create(name, spec, {})).rejects.toMatchObject({ name: 'OperatorError', code })
  })

  it('refuses dates that leave no whole day', async () => {
    const validity = { notBefore: new Date('2030-01-01T01:00:00Z'), expires: new Date('2030-01-02T23:00:00Z') }
    const call = administration.create('short', { kty: 'oct', bits: 256 }, validity)
    await expect(call).rejects.toMatchObject({ code: 'KEY_DATES_INVALID' })
  })

  it('leaves no key behind on a token that cannot show its dates', async () => {
    const call = administration.create('dated', { kty: 'RSA', bits: 2048 }, { expires: new Date('2040-01-01') })
    await expect(call).rejects.toMatchObject({ code: 'KEY_DATES_INVALID' })
    expect((await administration.list()).map(({ name }) => name)).not.toContain('dated')
    onToken('ekm', (objects) => {
      expect(() => objects.read('dated', CKO.PUBLIC_KEY, CKA.LABEL)).toThrow('no object')
    })
  })
})

describe('keys list', () => {
  it('shows the AES and RSA keys, and their days', async () => {
    onToken('ekm', (objects) => {
      objects.aes('dated', { PRIVATE: false, START_DATE: Buffer.from('20250101'), END_DATE: Buffer.from('20391231') })
      objects.aes('unused', { ENCRYPT: false, DECRYPT: false, WRAP: false, UNWRAP: false })
      objects.aes('', { ID: Buffer.from('beef', 'hex') })
    })
    const list = await administration.list()
    expect(list.map(({ name }) => name)).toEqual(
      ['RSA-2048', 'RSA-3072', 'RSA-4096', 'dated', 'id:beef', 'oct-256', 'unused'].sort(),
    )
    expect(list.find(({ name }) => name === 'dated')).toEqual({
      name: 'dated',
      kty: 'oct',
      bits: 256,
      enabled: true,
      notBefore: new Date('2025-01-01T00:00:00Z'),
      expires: new Date('2040-01-01T00:00:00Z'),
    })
    expect(list.find(({ name }) => name === 'unused')?.enabled).toBe(false)
  })
})
