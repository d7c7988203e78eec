import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, recorder, ref, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const dek = randomBytes(32)
const recorded = recorder()
let faults: FaultModule
let adapter: Pkcs11Adapter

beforeAll(() => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => ['aes', 'other', 'third'].forEach((label) => objects.aes(label)))
})
beforeEach(async () => {
  faults.script()
  recorded.reported.length = 0
  adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 1 }), recorded.report)
  return () => adapter.close()
})
afterAll(() => hsm.remove())

const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'OK',
    (error: unknown) => (error instanceof AdapterError ? error.code : String(error)),
  )

describe.each(['0x5', '0x6'])('an attribute that cannot be read for a moment (%s)', (rv) => {
  /** A line for each of three calls: the same number in other words. */
  const readings = [rv, rv.replace('0x', '0x0'), rv.replace('0x', '0x00')]
  // pkcs11js makes two calls for a read: the first asks how long the values are. Most attributes are read together, and then
  // the two dates; where that fails, one after another: CKA_ID, CKA_LABEL, CKA_KEY_TYPE.
  it('is not one that the key does not have', async () => {
    faults.script(`C_GetAttributeValue rv ${rv} 1 1`, `C_GetAttributeValue rv ${rv} 6 6`)
    expect(await codeOf(adapter.describe(ref('aes'), context()))).toBe('OK')
  })

  it('is not a date that is set', async () => {
    faults.script(`C_GetAttributeValue rv ${rv} 3 3`)
    expect(await codeOf(adapter.describe(ref('aes'), context()))).toBe('OK')
  })

  it('does not make it another key', async () => {
    const before = await adapter.qualify(ref('aes'), context())
    faults.script(...readings.map((word) => `C_GetAttributeValue@aes rv ${word} once`))
    expect(await adapter.qualify(ref('aes'), context())).toEqual(before)
    expect(adapter.qualifications()).toHaveLength(before.length)
  })
})

describe.each(['0x5', '0x6', '0x30', '0x80000042'])(
  'a right value that is answered with %s while it is found out how to unwrap it',
  (rv) => {
    it('leaves open whether the token can do it', { timeout: 20_000 }, async () => {
      await adapter.qualify(ref('other'), context())
      faults.script(...['C_UnwrapKey', 'C_DecryptInit'].map((name) => `${name}@aes rv ${rv}`))
      const found = await adapter.qualify(ref('aes'), context())
      expect(found.map(({ way, doubtful }) => [way, doubtful])).toEqual([
        [undefined, true],
        [undefined, true],
      ])
      expect(found[0]?.rejected.at(-1)?.reason).toContain(`(${rv}) to a right value`)
      const wrap = () => codeOf(adapter.wrap(ref('aes'), 'A256KW', dek, context()))
      expect(await wrap()).toBe('BACKEND_BUSY')
      expect(recorded.of('hsm_algorithm_unsupported')).toEqual([])
      if (rv !== '0x30') return
      faults.script()
      await until('it is found out', async () => (await wrap()) === 'OK', 15_000)
    })
  },
)

describe('a way that was right, and fails while it is found out anew', () => {
  it('serves on', async () => {
    await adapter.qualify(ref('other'), context())
    faults.script('C_UnwrapKey@aes rv 0x5')
    const [found] = await adapter.qualify(ref('aes'), context())
    expect([found?.way?.path, found?.doubtful]).toEqual(['blocks', true])
    faults.script('C_UnwrapKey@aes rv 0x5', 'C_DecryptInit@aes rv 0x5')
    const now = performance.now.bind(performance)
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000)
    try {
      await adapter.wrap(ref('aes'), 'A256KW', dek, context())
      // It is found out in turn with other keys.
      await adapter.qualify(ref('third'), context())
      const wrapped = await adapter.wrap(ref('aes'), 'A256KW', dek, context())
      faults.script()
      expect(await adapter.unwrap(ref('aes'), 'A256KW', wrapped, context())).toEqual(Uint8Array.from(dek))
    } finally {
      clock.mockRestore()
    }
  })
})
