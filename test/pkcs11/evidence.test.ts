import { randomBytes } from 'node:crypto'
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdapterError, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { aes256, kw } from '../contract/reference.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, recorder, ref, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const kek = randomBytes(32)
const unwrapOnly = randomBytes(32)
const dek = randomBytes(32)
const recorded = recorder()
let faults: FaultModule
let adapter: Pkcs11Adapter

/** The target of 2 s needs an idle machine; recovery-times.test.ts tests it. */
const RECOVERY_MS = 5000
/** Every function that uses a key. */
const cryptographic = ['Encrypt', 'Decrypt'].flatMap((name) => [`C_${name}Init`, `C_${name}`, `C_${name}Update`])
const everyUse = [...cryptographic, 'C_WrapKey', 'C_UnwrapKey']
const everyUseFails = (rv: string) => everyUse.map((name) => `${name} rv ${rv}`)

beforeAll(async () => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    objects.aes('other')
    objects.rsa('rsa')
    objects.aes('unwrap-only', { ENCRYPT: false, DECRYPT: false, WRAP: false }, unwrapOnly)
    objects.aes('no-wrap', { ENCRYPT: false, WRAP: false }, kek)
  })
  adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 2 }), recorded.report)
  await adapter.qualify(ref('aes'), context())
})
beforeEach(async () => {
  faults.script()
  await until('all serve', () => adapter.hosts.length === 2)
  await Promise.all([unwrap(), unwrap()])
  recorded.reported.length = 0
})
afterAll(async () => {
  await adapter.close()
  hsm.remove()
})

const wrapped = kw(aes256(kek), dek)
const bad = Uint8Array.from(wrapped, (byte, index) => (index === 9 ? byte ^ 1 : byte))
const unwrap = (value: Uint8Array = wrapped, key = 'aes') => adapter.unwrap(ref(key), 'A256KW', value, context())
const codeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'OK',
    (error: unknown) => (error instanceof AdapterError ? error.code : String(error)),
  )
const lost = () => recorded.of('hsm_host_lost').length

describe.each(['0x5', '0x6', '0x30', '0x80000042'])('an ambiguous error of the token (%s)', (rv) => {
  it('is the token’s fault if every use of a key fails, even though session and token answer', async () => {
    faults.script(...everyUseFails(rv))
    for (let call = 0; call < 3; call += 1) expect(await codeOf(unwrap())).toBe('BACKEND_UNAVAILABLE')
    expect(await codeOf(adapter.probe(context()))).toBe('BACKEND_UNAVAILABLE')
    await until('another session is tried', () => adapter.hosts.length > 0)
    expect(await codeOf(unwrap())).toBe('BACKEND_UNAVAILABLE')
    expect([lost(), recorded.of('hsm_back').length]).toEqual([1, 0])
    faults.script()
    await until('it is served again', async () => (await codeOf(unwrap())) === 'OK', RECOVERY_MS)
    expect(await codeOf(adapter.probe(context()))).toBe('OK')
    expect(recorded.of('hsm_back')).toHaveLength(1)
  })

  it('costs a valid value nothing if it goes away', async () => {
    faults.script(`C_UnwrapKey rv ${rv} once`)
    expect(Buffer.compare(await unwrap(), dek)).toBe(0)
    expect(lost()).toBe(0)
  })

  it('that one way always gives is reported as such, and costs no other way anything', async () => {
    faults.script(`C_UnwrapKey rv ${rv}`)
    expect(await codeOf(unwrap())).toBe('BACKEND_UNAVAILABLE')
    expect(await codeOf(adapter.probe(context()))).toBe('OK')
    const padded = await adapter.wrap(ref('aes'), 'A256KWP', dek, context())
    expect(await codeOf(adapter.unwrap(ref('aes'), 'A256KWP', padded, context()))).toBe('OK')
    expect(lost()).toBe(0)
  })
})

describe('a key that fails', () => {
  it.each(['0x5', '0x30'])('costs no other key anything (%s)', async (rv) => {
    await adapter.qualify(ref('other'), context())
    const value = await adapter.wrap(ref('other'), 'A256KW', dek, context())
    faults.script(...everyUse.map((name) => `${name}@aes rv ${rv}`))
    const calls = Array.from({ length: 8 }, () => [unwrap(), unwrap(bad), unwrap(value, 'other')]).flat()
    const codes = await Promise.all(calls.map(codeOf))
    expect(new Set(codes.filter((_, index) => index % 3 < 2))).toEqual(new Set(['BACKEND_UNAVAILABLE']))
    expect(new Set(codes.filter((_, index) => index % 3 === 2))).toEqual(new Set(['OK']))
    expect(await codeOf(adapter.probe(context()))).toBe('OK')
    expect(lost()).toBe(0)
  })
})

describe('a value that does not unwrap', () => {
  it('is invalid, and costs no session', async () => {
    for (let call = 0; call < 3; call += 1) expect(await codeOf(unwrap(bad))).toBe('CIPHERTEXT_INVALID')
    expect(lost()).toBe(0)
  })

  it('is invalid under a key that only decrypts and unwraps', async () => {
    expect(await codeOf(unwrap(bad, 'no-wrap'))).toBe('CIPHERTEXT_INVALID')
    expect(await codeOf(unwrap(wrapped, 'no-wrap'))).toBe('OK')
  })

  it('is invalid under a key that only unwraps once that key has unwrapped a value', async () => {
    expect(await codeOf(unwrap(bad, 'unwrap-only'))).toBe('BACKEND_UNAVAILABLE')
    expect(await codeOf(unwrap(kw(aes256(unwrapOnly), dek), 'unwrap-only'))).toBe('OK')
    expect(await codeOf(unwrap(bad, 'unwrap-only'))).toBe('CIPHERTEXT_INVALID')
    expect(lost()).toBe(0)
  })
})

describe('a token that calls a damaged value a device error', () => {
  it('is qualified like any other, and no bad value costs a session', async () => {
    faults.script('C_UnwrapKey instead 0x30', 'C_Decrypt instead 0x30')
    const other = recorder()
    const fresh = await open(hsm.options('ekm', { module: faults.path, sessions: 1 }), other.report)
    try {
      const all = await Promise.all(['aes', 'rsa', 'no-wrap'].map((key) => fresh.qualify(ref(key), context())))
      expect(all.flat().filter(({ way }) => way === undefined)).toEqual([])
      const open = (value: Uint8Array, key: string, algorithm: WrapAlgorithm) =>
        codeOf(fresh.unwrap(ref(key), algorithm, value, context()))
      for (const algorithm of ['RSA-OAEP', 'RSA-OAEP-256'] as const) {
        expect(await open(await fresh.wrap(ref('rsa'), algorithm, dek, context()), 'rsa', algorithm)).toBe('OK')
        expect(await open(Buffer.alloc(256, 0x11), 'rsa', algorithm)).toBe('CIPHERTEXT_INVALID')
      }
      expect(await open(wrapped, 'aes', 'A256KW')).toBe('OK')
      for (const key of ['aes', 'no-wrap']) expect(await open(bad, key, 'A256KW')).toBe('CIPHERTEXT_INVALID')
      expect(other.of('hsm_host_lost')).toEqual([])
    } finally {
      await fresh.close()
    }
  })
})

describe('a key that is not there', () => {
  it('is not found on a token that shows another', async () => {
    onToken('ekm', (objects) => objects.aes('passing'))
    await until('it is found', async () => (await codeOf(adapter.describe(ref('passing'), context()))) === 'OK')
    await adapter.qualify(ref('passing'), context())
    onToken('ekm', (objects) => objects.destroy('passing'))
    const gone = () => codeOf(adapter.describe(ref('passing'), context()))
    await until('it is gone', async () => (await gone()) === 'KEY_NOT_FOUND')
    expect(await codeOf(adapter.probe(context()))).toBe('OK')
    expect(await codeOf(unwrap())).toBe('OK')
  })

  it('is not called missing if the token’s directory is away', async () => {
    const tokens = join(hsm.directory, 'tokens')
    renameSync(tokens, join(hsm.directory, 'away'))
    const codes = new Set<string>()
    const note = async () => {
      for (const code of await Promise.all([unwrap(), adapter.describe(ref('aes'), context())].map(codeOf)))
        codes.add(code)
    }
    await until('it is noticed', async () => {
      await note()
      return (await codeOf(adapter.probe(context()))) === 'BACKEND_UNAVAILABLE'
    })
    for (let call = 0; call < 5; call += 1) await note()
    renameSync(join(hsm.directory, 'away'), tokens)
    await until('it is served again', async () => (await codeOf(unwrap())) === 'OK', RECOVERY_MS)
    expect([...codes]).not.toContain('KEY_NOT_FOUND')
    expect([...codes]).toContain('BACKEND_UNAVAILABLE')
  })

  it('is not found, after a look by a new session, if it was the only key', async () => {
    hsm.initToken('single')
    onToken('single', (objects) => objects.aes('only'))
    const single = await open(hsm.options('single', { sessions: 1 }), () => undefined)
    try {
      const look = () => codeOf(single.describe(ref('only'), context()))
      expect(await look()).toBe('OK')
      onToken('single', (objects) => objects.destroy('only'))
      const before = single.hosts
      const codes = new Set<string>()
      const isGone = async () => {
        const code = await look()
        codes.add(code)
        return code === 'KEY_NOT_FOUND'
      }
      await until('it is gone', isGone).catch((error: unknown) => {
        throw new Error(`it answers ${[...codes].join(', then ')}`, { cause: error })
      })
      expect(single.hosts).not.toEqual(before)
    } finally {
      await single.close()
    }
  })
})

describe('an adapter that is closed while it finds out what a failure means', () => {
  it('answers every call', async () => {
    const closing = await open(hsm.options('ekm', { module: faults.path, sessions: 1 }), () => undefined)
    await closing.qualify(ref('aes'), context())
    faults.script('C_UnwrapKey log 0', 'C_WrapKey delay 200', 'C_UnwrapKey rv 0x5')
    let asked = 0
    const call = codeOf(closing.unwrap(ref('aes'), 'A256KW', wrapped, context()))
    // The first answer is there, and the witness key is being tried.
    await until('it is judged', () => (asked += faults.logged('C_UnwrapKey')) > 1)
    await closing.close()
    expect(await call).toBe('CLOSED')
  })
})
