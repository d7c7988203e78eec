import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import { open } from '../../adapters/pkcs11/index.ts'
import { aes256, kw } from '../contract/reference.ts'
import { copiesInMemory } from '../support/process-memory.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, recorder, ref } from './support/harness.ts'
import { MODULE, softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const kek = randomBytes(32)
const { report } = recorder()
let faults: FaultModule

beforeAll(() => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    objects.rsa('rsa')
  })
})
afterAll(() => hsm.remove())

describe('a data key on its way through a host', () => {
  it.each<WrapAlgorithm>(['A256KW', 'A256KWP', 'RSA-OAEP', 'RSA-OAEP-256'])(
    'by %s is gone from its memory afterwards, except the last one',
    async (alg) => {
      const adapter = await open(hsm.options('ekm', { sessions: 1 }), report)
      try {
        const key = ref(alg.startsWith('RSA') ? 'rsa' : 'aes')
        const dataKeys = Array.from({ length: 40 }, () => randomBytes(32))
        await Promise.all(
          dataKeys.map(async (dataKey) => {
            const wrapped = await adapter.wrap(key, alg, dataKey, context())
            expect(Buffer.from(await adapter.unwrap(key, alg, wrapped, context()))).toEqual(dataKey)
          }),
        )
        const [pid = 0] = adapter.hosts
        const halves = dataKeys.flatMap((dataKey) => [dataKey.subarray(0, 16), dataKey.subarray(16)])
        const [module, ...copies] = copiesInMemory(pid, [Buffer.from(MODULE), ...halves])
        expect(module).toBeGreaterThan(0)
        // OpenSSL leaves the last data key on its stack, where the next one replaces it.
        expect(copies.filter((count) => count > 0).length).toBeLessThanOrEqual(2)
      } finally {
        await adapter.close()
      }
    },
  )

  // CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT, CKR_GENERAL_ERROR, and a vendor-defined code.
  it.each(['0x13', '0xd1', '0x5', '0x80000123'])('is CKA_PRIVATE where the token answers %s otherwise', async (ckr) => {
    faults.script(`C_CreateObject rv-if-public ${ckr}`, `C_UnwrapKey rv-if-public ${ckr}`)
    const adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 1 }), report)
    try {
      const qualifications = await adapter.qualify(ref('aes'), context())
      expect(qualifications.find(({ algorithm }) => algorithm === 'A256KW')?.way?.path).toBe('wrap-key')
      const dataKey = randomBytes(32)
      const wrapped = await adapter.wrap(ref('aes'), 'A256KW', dataKey, context())
      expect(Buffer.from(wrapped)).toEqual(kw(aes256(kek), dataKey))
      expect(Buffer.from(await adapter.unwrap(ref('aes'), 'A256KW', wrapped, context()))).toEqual(dataKey)
    } finally {
      faults.script()
      await adapter.close()
    }
  })
})
