import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { AdapterError } from '../../adapters/contract/index.ts'
import { shortLengths } from '../../adapters/pkcs11/keys/known-answers.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import type { Way } from '../../adapters/pkcs11/cryptoki/way.ts'
import type { Qualification } from '../../adapters/pkcs11/keys/qualification.ts'
import { confirmed } from '../../adapters/pkcs11/keys/qualifier.ts'
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

const wrapLong = () => codeOf(adapter.wrap(ref('aes'), 'A256KW', randomBytes(104), context()))

/** Moves the clock by a minute and wraps with the key, so that its ways are qualified again. */
async function foundOutAnew(): Promise<void> {
  const now = performance.now.bind(performance)
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + 61_000)
  try {
    await adapter.wrap(ref('aes'), 'A256KW', dek, context())
    // Keys are qualified in turn.
    await adapter.qualify(ref('third'), context())
  } finally {
    clock.mockRestore()
  }
}

describe.each(['0x5', '0x6'])('an attribute that cannot be read for a moment (%s)', (rv) => {
  /** A script line for each of three calls: the same number in different notations. */
  const readings = [rv, rv.replace('0x', '0x0'), rv.replace('0x', '0x00')]
  // pkcs11js makes two calls for a read: the first asks for the lengths of the values. Most attributes are read
  // together, and then the two dates. If that fails, they are read one after another: CKA_ID, CKA_LABEL, CKA_KEY_TYPE.
  it('is not taken for an absent one', async () => {
    faults.script(`C_GetAttributeValue rv ${rv} 1 1`, `C_GetAttributeValue rv ${rv} 6 6`)
    expect(await codeOf(adapter.describe(ref('aes'), context()))).toBe('OK')
  })

  it('is not taken for a date', async () => {
    faults.script(`C_GetAttributeValue rv ${rv} 3 3`)
    expect(await codeOf(adapter.describe(ref('aes'), context()))).toBe('OK')
  })

  it('does not make the key another one', async () => {
    const before = await adapter.qualify(ref('aes'), context())
    faults.script(...readings.map((word) => `C_GetAttributeValue@aes rv ${word} once`))
    expect(await adapter.qualify(ref('aes'), context())).toEqual(before)
    expect(adapter.qualifications()).toHaveLength(before.length)
  })
})

describe.each(['0x5', '0x6', '0x30', '0x80000042'])(
  'a right value that is answered with %s while it is found out how to unwrap it',
  (rv) => {
    it('leaves open whether the token supports the algorithm', async () => {
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
      await until('it is found out', async () => (await wrap()) === 'OK')
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
    await foundOutAnew()
    const wrapped = await adapter.wrap(ref('aes'), 'A256KW', dek, context())
    faults.script()
    expect(await adapter.unwrap(ref('aes'), 'A256KW', wrapped, context())).toEqual(Uint8Array.from(dek))
  })

  it('carries values of the same length as before', async () => {
    faults.script('C_WrapKey log', 'C_EncryptInit@aes rv 0x5')
    const [found] = await adapter.qualify(ref('aes'), context())
    expect([found?.way?.path, found?.maxBytes, found?.doubtful]).toEqual(['wrap-key', undefined, true])
    // One call for the waiting caller, and the calls with short values.
    const before = faults.logged('C_WrapKey') + 1 + shortLengths.KW.length
    faults.script(`C_WrapKey@aes rv 0x5 ${before + 1}`)
    await foundOutAnew()
    faults.script()
    expect(await wrapLong()).toBe('OK')
  })
})

describe('a value that is longer than what is known to be carried', () => {
  it('is not called too long because of errors without a cause', async () => {
    faults.script('C_WrapKey log')
    await adapter.qualify(ref('other'), context())
    const each = faults.logged('C_WrapKey')
    // The last call of each qualification is the first one with a long value.
    faults.script(`C_WrapKey@aes rv 0x5 ${2 * each}`)
    const [found] = await adapter.qualify(ref('aes'), context())
    expect([found?.way?.path, found?.maxBytes, found?.doubtful]).toEqual(['wrap-key', 64, true])
    faults.script()
    expect(await codeOf(adapter.wrap(ref('aes'), 'A256KW', dek, context()))).toBe('OK')
    expect(await wrapLong()).toBe('BACKEND_BUSY')
    await foundOutAnew()
    await until('it is found out', async () => (await wrapLong()) === 'OK')
  })
})

describe('a refusal that blames the key', () => {
  const way = { scheme: 'KW', path: 'wrap', mechanism: 0x2109 } as unknown as Way
  const found = { key: 'aes', algorithm: 'A256KW', rejected: [], doubtful: false } as const
  const refused = { ...found, rejected: [{ way, reason: 'the token answered 0x68', doubtful: false }] }
  const good = { ...found, way }

  it.each([
    ['of every way is not believed if it is not given again a moment later', [refused, good], good],
    ['of every way is believed if it is given twice', [refused, refused], refused],
    ['of no way, where the token has none, is believed', [found], found],
    ['of one way is believed if another is right', [{ ...refused, way }], { ...refused, way }],
  ])('%s', async (_, answers: Qualification[], result) => {
    const left = [...answers]
    expect(await confirmed(() => Promise.resolve(left.shift() ?? found))).toEqual(result)
    expect(left).toEqual([])
  })

  it('ends with a verdict on what the token cannot do', async () => {
    const using = ['C_WrapKey', 'C_UnwrapKey', 'C_EncryptInit', 'C_DecryptInit']
    faults.script(...using.map((name) => `${name}@aes rv 0x68`))
    expect(await codeOf(adapter.wrap(ref('aes'), 'A256KW', dek, context()))).toBe('ALGORITHM_UNSUPPORTED')
  })
})
