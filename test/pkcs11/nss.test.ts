import { afterAll, describe, expect, it } from 'vitest'
import { administer, open } from '../../adapters/pkcs11/index.ts'
import { faultModule } from './support/fault-module.ts'
import { nss } from './support/nss.ts'
import { softHsm } from './support/softhsm.ts'

const token = nss()
const { directory, remove } = softHsm()
const faults = faultModule({ directory }, 'nss', token.module)
afterAll(() => {
  token.remove()
  remove()
})

describe('libraryParameters', () => {
  it.each([token.parameters('readOnly'), token.parameters(), `${token.parameters()} #é`])(
    'reach the module to the last byte: %s',
    async (libraryParameters) => {
      faults.script('C_Initialize log 0')
      const adapter = await open(token.options({ module: faults.path, libraryParameters, sessions: 1 }), () => undefined)
      await adapter.close()
      expect(faults.parameters()).toEqual([libraryParameters])
    },
  )

  it('with flags=readOnly open NSS read-only', async () => {
    const readOnly = await administer(token.options({ libraryParameters: token.parameters('readOnly') }))
    const refused = readOnly.create('aes', { kty: 'oct', bits: 256 }, {})
    await expect(refused).rejects.toMatchObject({ name: 'OperatorError' })
    const readWrite = await administer(token.options())
    expect(await readWrite.create('aes', { kty: 'oct', bits: 256 }, {})).toMatchObject({ name: 'aes' })
  })
})
