import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { context, ref, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
let adapter: Pkcs11Adapter

beforeAll(async () => {
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('payroll kek/1', { ID: Buffer.from('0a0b', 'hex') })
    objects.aes('twice', { ID: Buffer.from('01', 'hex') })
    objects.aes('twice', { ID: Buffer.from('02', 'hex') })
    objects.aes('both', { ID: Buffer.from('03', 'hex') })
    objects.rsa('both', { ID: Buffer.from('04', 'hex') })
    objects.rsa('pair', { ID: Buffer.from('0506', 'hex') })
    objects.aes('ключ', {})
  })
  adapter = await open(hsm.options('ekm'), () => undefined)
})
afterAll(async () => {
  await adapter.close()
  hsm.remove()
})

const describeKey = (text: string) => adapter.describe(ref(text), context())

describe('a PKCS#11 key reference', () => {
  it.each([
    { text: 'payroll kek/1', kty: 'oct' },
    { text: 'ключ', kty: 'oct' },
    { text: 'id:0a0b', kty: 'oct' },
    { text: 'id:0A:0B', kty: 'oct' },
    { text: 'pkcs11:object=payroll%20kek%2F1', kty: 'oct' },
    { text: 'pkcs11:id=%0A%0b', kty: 'oct' },
    { text: 'PKCS11:token=ekm;object=payroll%20kek%2f1;id=%0a%0b;type=secret-key', kty: 'oct' },
    { text: 'pkcs11:object=%D0%BA%D0%BB%D1%8E%D1%87', kty: 'oct' },
    { text: 'pkcs11:object=both;type=private', kty: 'RSA' },
    { text: 'pkcs11:object=both;type=secret-key', kty: 'oct' },
    { text: 'pkcs11:object=both;id=%04', kty: 'RSA' },
    { text: 'pkcs11:object=pair?module-name=softhsm2', kty: 'RSA' },
    { text: 'pkcs11:manufacturer=SoftHSM%20project;model=SoftHSM%20v2;object=pair', kty: 'RSA' },
    { text: 'pair', kty: 'RSA' },
  ])('$text names a key of type $kty', async ({ text, kty }) => {
    expect((await describeKey(text)).kty).toBe(kty)
  })

  it.each([
    'absent',
    'PAIR',
    'id:0a',
    'id:xyz',
    'id:',
    'pkcs11:',
    'pkcs11:token=other;object=pair',
    'pkcs11:serial=0000;object=pair',
    'pkcs11:slot-id=18446744073709551615;object=pair',
    'pkcs11:object=pair?module-path=/usr/lib/other.so',
    'pkcs11:object=pair;type=public',
    'pkcs11:object=pair;object=pair',
    'pkcs11:object=pair;type=secret-key',
    'pkcs11:object=pair;x-vendor=1',
    'pkcs11:object=pair?pin-source=/etc/pin',
    'pkcs11:object=p%4',
  ])('%s names no key of this token', async (text) => {
    await expect(describeKey(text)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
  })

  it('with pin-value is refused, and the PIN is not repeated', async () => {
    const error = await describeKey('pkcs11:object=pair?pin-value=11223344').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'KEY_NOT_FOUND' })
    expect(String(error)).toContain('pin-value is refused')
    expect(String(error)).not.toContain('11223344')
  })

  it.each([
    { text: 'twice', names: ['id 01', 'id 02'] },
    { text: 'both', names: ['a secret key', 'a private key'] },
  ])('that two keys answer to ($text) is an error that names them', async ({ text, names }) => {
    for (const call of [describeKey(text), adapter.wrap(ref(text), 'A256KW', randomBytes(16), context())]) {
      const error = await call.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'KEY_AMBIGUOUS' })
      for (const name of names) expect(String(error)).toContain(name)
    }
  })
})

/** Usually the change is seen at once. Sometimes SoftHSM 2.6.1 has to be started afresh to see it. */
const SEEN_MS = 15_000
const isFound = (name: string) =>
  describeKey(name).then(
    () => true,
    () => false,
  )

describe('the adapter, after a change on the token,', () => {
  it('finds a key that appears later without a restart', async () => {
    await expect(describeKey('later')).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' })
    onToken('ekm', (objects) => objects.aes('later'))
    await until('the key is found', () => isFound('later'), SEEN_MS)
  })

  it('loses a removed key within seconds, and finds another with its name', async () => {
    onToken('ekm', (objects) => objects.aes('passing'))
    await until('the key is found', () => isFound('passing'), SEEN_MS)
    const dek = randomBytes(16)
    const wrapped = await adapter.wrap(ref('passing'), 'A256KW', dek, context())
    onToken('ekm', (objects) => objects.destroy('passing'))
    await until('the key is gone', () =>
      adapter.unwrap(ref('passing'), 'A256KW', wrapped, context()).then(
        () => false,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'KEY_NOT_FOUND' })
          return true
        },
      ),
    )
    onToken('ekm', (objects) => objects.aes('passing'))
    await until('the other key is found', () => isFound('passing'), SEEN_MS)
    const again = await adapter.wrap(ref('passing'), 'A256KW', dek, context())
    expect(Buffer.compare(again, wrapped)).not.toBe(0)
  })

  it('stops the use of a key if a second one has its name', async () => {
    onToken('ekm', (objects) => objects.aes('single'))
    const wrap = () => adapter.wrap(ref('single'), 'A256KW', randomBytes(16), context())
    // Each session sees the change at a different time. This many concurrent calls reach all of them.
    const isFoundByAll = async () =>
      (await Promise.allSettled(Array.from({ length: 8 }, wrap))).every(({ status }) => status === 'fulfilled')
    await until('the key is found by every session', isFoundByAll, SEEN_MS)
    onToken('ekm', (objects) => objects.aes('single'))
    await until('the duplicate is seen', () =>
      wrap().then(
        () => false,
        (error: unknown) => {
          expect(error).toMatchObject({ code: 'KEY_AMBIGUOUS' })
          return true
        },
      ),
    )
  })
})
