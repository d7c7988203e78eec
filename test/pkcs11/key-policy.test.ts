import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CKK } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { context, recorder, ref } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const { report, of } = recorder()
let adapter: Pkcs11Adapter

const DAY_MS = 86_400_000
const day = (offset: number) =>
  Buffer.from(new Date(Date.now() + offset * DAY_MS).toISOString().slice(0, 10).replaceAll('-', ''))

beforeAll(async () => {
  hsm.initToken('ekm')
  const small = await rsaKey(1024)
  onToken('ekm', (objects) => {
    objects.aes('aes-128', {}, randomBytes(16))
    objects.aes('generic', { KEY_TYPE: CKK.GENERIC_SECRET }, randomBytes(32))
    objects.rsa('rsa-1024', {}, { ...small })
    objects.aes('no-wrap', { ENCRYPT: false, WRAP: false })
    objects.aes('no-unwrap', { DECRYPT: false, UNWRAP: false })
    objects.rsa('rsa-no-wrap', { ENCRYPT: false, WRAP: false })
    objects.rsa('rsa-no-unwrap', { DECRYPT: false, UNWRAP: false })
    // SoftHSM 2.6.1 cannot show the dates of a private object.
    objects.aes('early', { PRIVATE: false, START_DATE: day(1) })
    objects.aes('over', { PRIVATE: false, END_DATE: day(-1) })
    objects.aes('last-day', { PRIVATE: false, START_DATE: day(0), END_DATE: day(0) })
    objects.aes('date-hidden', { END_DATE: day(100) })
    objects.aes('readable', { SENSITIVE: false })
    objects.aes('extractable', { EXTRACTABLE: true })
  })
  adapter = await open(hsm.options('ekm'), report)
})
afterAll(async () => {
  await adapter.close()
  hsm.remove()
})

const wrap = (key: string, algorithm: 'A256KW' | 'RSA-OAEP' = 'A256KW') =>
  adapter.wrap(ref(key), algorithm, randomBytes(32), context())
const unwrap = (key: string, algorithm: 'A256KW' | 'RSA-OAEP' = 'A256KW') =>
  adapter.unwrap(ref(key), algorithm, randomBytes(algorithm === 'A256KW' ? 40 : 256), context())

describe('the token’s key policy says that', () => {
  it.each(['aes-128', 'generic', 'rsa-1024'])('%s is not a key that Azure knows', async (key) => {
    await expect(adapter.describe(ref(key), context())).rejects.toMatchObject({ code: 'KEY_UNSUPPORTED' })
    await expect(wrap(key)).rejects.toMatchObject({ code: 'KEY_UNSUPPORTED' })
  })

  it('a missing usage forbids its operation, and that one only', async () => {
    await expect(wrap('no-wrap')).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
    await expect(unwrap('no-unwrap')).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
    await expect(wrap('rsa-no-wrap', 'RSA-OAEP')).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
    await expect(unwrap('rsa-no-unwrap', 'RSA-OAEP')).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
    await expect(wrap('no-unwrap')).resolves.toHaveLength(40)
    await expect(unwrap('rsa-no-wrap', 'RSA-OAEP')).rejects.toMatchObject({ code: 'CIPHERTEXT_INVALID' })
  })

  it.each(['early', 'over', 'date-hidden'])('%s is not in use today', async (key) => {
    await expect(adapter.describe(ref(key), context())).rejects.toMatchObject({ code: 'KEY_DISABLED' })
    await expect(wrap(key)).rejects.toMatchObject({ code: 'KEY_DISABLED' })
    await expect(unwrap(key)).rejects.toMatchObject({ code: 'KEY_DISABLED' })
  })

  it('start and end date include both days', async () => {
    await expect(wrap('last-day')).resolves.toHaveLength(40)
  })

  it('a key that can leave the token is used with a warning, once', async () => {
    for (const key of ['readable', 'extractable', 'readable']) await adapter.describe(ref(key), context())
    const warned = of('hsm_key_exposed').map(({ level, fields }) => [level, fields['key']])
    expect(warned).toEqual([
      ['warn', 'readable'],
      ['warn', 'extractable'],
    ])
  })

  it('a key that can leave the token is not used under requireSensitive', async () => {
    const strict = await open(hsm.options('ekm', { requireSensitive: true, sessions: 1 }), () => undefined)
    try {
      for (const key of ['readable', 'extractable']) {
        await expect(strict.describe(ref(key), context())).rejects.toMatchObject({ code: 'OPERATION_FORBIDDEN' })
      }
      await expect(strict.describe(ref('last-day'), context())).resolves.toMatchObject({ kty: 'oct' })
    } finally {
      await strict.close()
    }
  })
})
