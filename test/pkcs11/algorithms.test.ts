import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import { CKM } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import type { Pkcs11Adapter, Pkcs11Options } from '../../adapters/pkcs11/index.ts'
import { aes256, kw, kwp, oaepWrap } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { context, ref } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'
import { withAdapter } from './support/with-adapter.ts'

const hsm = softHsm()
const kek = randomBytes(32)
const jwk = await rsaKey(2048)

beforeAll(() => {
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    objects.aes('wrap-only', { ENCRYPT: false, DECRYPT: false }, kek)
    objects.aes('unwrap-only', { ENCRYPT: false, DECRYPT: false, WRAP: false }, kek)
    objects.aes('encrypt-only', { WRAP: false, UNWRAP: false }, kek)
    objects.rsa('rsa', {}, { ...jwk })
    objects.rsa('rsa-unwrap', { DECRYPT: false, UNWRAP: true }, { ...jwk })
  })
})
afterAll(() => hsm.remove())

const withToken = (more: Partial<Pkcs11Options>, work: Parameters<typeof withAdapter>[1]) =>
  withAdapter(hsm.options('ekm', more), work)

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** How the adapter does each algorithm of a key: path and mechanism, or the refusal. */
async function chosen(adapter: Pkcs11Adapter, key: string) {
  const table = await adapter.qualify(ref(key), context())
  return Object.fromEntries(
    table.map(({ algorithm, way, evidence }) => [algorithm, way ? [way.path, way.mechanism, evidence] : 'none']),
  )
}

describe('qualification on SoftHSM 2.6.1', () => {
  it('uses the first right way for each algorithm, and reports rejected ones with the reason, once', () =>
    withToken({}, async (adapter, of) => {
      expect(await chosen(adapter, 'aes')).toEqual({
        A256KW: ['wrap-key', CKM.AES_KEY_WRAP, 'same key'],
        A256KWP: ['blocks', CKM.AES_ECB, 'same key'],
      })
      expect(await chosen(adapter, 'rsa')).toEqual({
        'RSA-OAEP': ['encrypt', CKM.RSA_PKCS_OAEP, 'same key'],
        'RSA-OAEP-256': ['raw-rsa', CKM.RSA_X_509, 'same key'],
      })
      await adapter.qualify(ref('aes'), context())
      expect(of('hsm_algorithm_qualified')).toHaveLength(4)
      const kwpReport = of('hsm_algorithm_qualified').find(({ fields }) => fields['algorithm'] === 'A256KWP')
      expect(kwpReport?.fields['rejected']).toContain(
        'C_WrapKey/C_UnwrapKey CKM_AES_KEY_WRAP_PAD (0x210a): wrong result',
      )
      const rejected = adapter.qualifications().find(({ algorithm }) => algorithm === 'RSA-OAEP-256')?.rejected
      expect(rejected?.map(({ way }) => way.path)).toEqual(['encrypt', 'wrap-key'])
    }))

  it('returns a 20-byte data key as 20 bytes, and wraps it by RFC 5649', () =>
    withToken({}, async (adapter) => {
      for (const bytes of [1, 7, 12, 20, 33]) {
        const dek = randomBytes(bytes)
        const wrapped = await adapter.wrap(ref('aes'), 'A256KWP', dek, context())
        expect(hex(wrapped)).toBe(hex(kwp(aes256(kek), dek)))
        expect(hex(await adapter.unwrap(ref('aes'), 'A256KWP', wrapped, context()))).toBe(hex(dek))
      }
    }))

  it('unwraps RSA-OAEP-256 although the token knows OAEP with SHA-1 only', () =>
    withToken({}, async (adapter) => {
      const dek = randomBytes(32)
      const wrapped = oaepWrap(jwk, 'sha256', dek)
      expect(hex(await adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped, context()))).toBe(hex(dek))
    }))

  it('checks a key without single blocks by a session key beside it, and refuses wrong results', () =>
    withToken({}, async (adapter) => {
      expect(await chosen(adapter, 'wrap-only')).toEqual({
        A256KW: ['wrap-key', CKM.AES_KEY_WRAP, 'sibling key'],
        A256KWP: 'none',
      })
      const call = adapter.wrap(ref('wrap-only'), 'A256KWP', randomBytes(20), context())
      await expect(call).rejects.toMatchObject({ code: 'ALGORITHM_UNSUPPORTED' })
    }))

  it('lets a retired key unwrap and not wrap', () =>
    withToken({}, async (adapter) => {
      const dek = randomBytes(32)
      const unwrapped = await adapter.unwrap(ref('unwrap-only'), 'A256KW', kw(aes256(kek), dek), context())
      expect(hex(unwrapped)).toBe(hex(dek))
      const call = adapter.wrap(ref('unwrap-only'), 'A256KW', dek, context())
      await expect(call).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
    }))

  it('uses single blocks for a key that may not wrap keys, and C_UnwrapKey for one that may not decrypt', () =>
    withToken({}, async (adapter) => {
      expect(await chosen(adapter, 'encrypt-only')).toEqual({
        A256KW: ['blocks', CKM.AES_ECB, 'same key'],
        A256KWP: ['blocks', CKM.AES_ECB, 'same key'],
      })
      // SoftHSM 2.6.1 has no OAEP with SHA-256, and a raw RSA operation needs CKA_DECRYPT.
      expect(await chosen(adapter, 'rsa-unwrap')).toEqual({
        'RSA-OAEP': ['wrap-key', CKM.RSA_PKCS_OAEP, 'same key'],
        'RSA-OAEP-256': 'none',
      })
    }))
})

describe('the settings of mechanisms by number', () => {
  it('pin one mechanism, so that no other is tried', () =>
    withToken({ mechanisms: { pin: { A256KW: CKM.AES_CBC, 'RSA-OAEP': CKM.RSA_X_509 } } }, async (adapter) => {
      expect(await chosen(adapter, 'aes')).toMatchObject({ A256KW: ['blocks', CKM.AES_CBC, 'same key'] })
      expect(await chosen(adapter, 'rsa')).toMatchObject({ 'RSA-OAEP': ['raw-rsa', CKM.RSA_X_509, 'same key'] })
      for (const algorithm of ['A256KW', 'A256KWP'] satisfies WrapAlgorithm[]) {
        const dek = randomBytes(40)
        const wrapped = await adapter.wrap(ref('aes'), algorithm, dek, context())
        expect(hex(wrapped)).toBe(hex((algorithm === 'A256KW' ? kw : kwp)(aes256(kek), dek)))
      }
    }))

  it('do not save a pinned mechanism that is wrong', () =>
    withToken({ mechanisms: { pin: { A256KWP: CKM.AES_KEY_WRAP_PAD } } }, async (adapter, of) => {
      expect(await chosen(adapter, 'aes')).toMatchObject({ A256KWP: 'none' })
      expect(of('hsm_algorithm_unsupported')).toHaveLength(1)
    }))

  it('forbid a mechanism, which is not used', () =>
    withToken({ mechanisms: { forbid: [CKM.AES_KEY_WRAP, CKM.RSA_X_509] } }, async (adapter) => {
      expect(await chosen(adapter, 'aes')).toMatchObject({ A256KW: ['blocks', CKM.AES_ECB, 'same key'] })
      expect(await chosen(adapter, 'rsa')).toMatchObject({ 'RSA-OAEP-256': 'none' })
    }))
})
