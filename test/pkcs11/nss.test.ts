import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { CKM } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { aes256, kw, kwp } from '../contract/reference.ts'
import { faultModule } from './support/fault-module.ts'
import { context, recorder, ref } from './support/harness.ts'
import { nss } from './support/nss.ts'
import { softHsm } from './support/softhsm.ts'

const token = nss()
const hsm = softHsm()
const faults = faultModule(hsm, 'nss', token.module)
afterAll(() => {
  token.remove()
  hsm.remove()
})

describe('the setting libraryParameters', () => {
  it.each([token.parameters('readOnly'), token.parameters(), `${token.parameters()} #é`])(
    'reaches the module to the last byte: %s',
    async (libraryParameters) => {
      faults.script('C_Initialize log 0')
      const adapter = await open(
        token.options({ module: faults.path, libraryParameters, sessions: 1 }),
        () => undefined,
      )
      await adapter.close()
      expect(faults.parameters()).toEqual([libraryParameters])
    },
  )

  it('opens NSS read-only with flags=readOnly', async () => {
    const readOnly = await administer(token.options({ libraryParameters: token.parameters('readOnly') }))
    const refused = readOnly.create('aes', { kty: 'oct', bits: 256 }, {})
    await expect(refused).rejects.toMatchObject({ name: 'OperatorError' })
    const readWrite = await administer(token.options())
    expect(await readWrite.create('aes', { kty: 'oct', bits: 256 }, {})).toMatchObject({ name: 'aes' })
  })
})

describe('an AES key with CKA_WRAP and CKA_UNWRAP only', () => {
  it('serves values up to the limit of C_UnwrapKey, and names the limit for longer ones', async () => {
    const kek = randomBytes(32)
    token.aes('wrap-only', { ENCRYPT: false, DECRYPT: false }, kek)
    const { report, of } = recorder()
    const adapter = await open(token.options({ sessions: 1 }), report)
    try {
      const found = await adapter.qualify(ref('wrap-only'), context())
      expect(found.map(({ way, maxBytes, evidence }) => [way?.path, way?.mechanism, maxBytes, evidence])).toEqual([
        ['wrap-key', CKM.AES_KEY_WRAP, 256, 'sibling key'],
        ['wrap-key', CKM.AES_KEY_WRAP_KWP, 256, 'sibling key'],
      ])
      expect(of('hsm_algorithm_qualified').map(({ fields }) => fields['maxBytes'])).toEqual([256, 256])
      expect(await adapter.inspection.ways(ref('wrap-only'), context())).toMatchObject([
        { maxBytes: 256 },
        { maxBytes: 256 },
      ])
      for (const [algorithm, wrap] of [
        ['A256KW', kw],
        ['A256KWP', kwp],
      ] as const) {
        for (const bytes of [32, 64, 256]) {
          const dek = randomBytes(bytes)
          const wrapped = await adapter.wrap(ref('wrap-only'), algorithm, dek, context())
          expect(Buffer.compare(wrapped, wrap(aes256(kek), dek))).toBe(0)
          expect(Buffer.compare(await adapter.unwrap(ref('wrap-only'), algorithm, wrapped, context()), dek)).toBe(0)
        }
        const long = adapter.wrap(ref('wrap-only'), algorithm, randomBytes(264), context())
        await expect(long).rejects.toMatchObject({
          code: 'INPUT_INVALID',
          message: expect.stringContaining('256 bytes') as string,
        })
      }
    } finally {
      await adapter.close()
    }
  })
})
