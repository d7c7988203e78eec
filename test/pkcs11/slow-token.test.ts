import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdapterError, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import type { Pkcs11Adapter, Pkcs11Options } from '../../adapters/pkcs11/index.ts'
import { aes256, kwp } from '../contract/reference.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, ref, sleep, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'
import { withAdapter } from './support/with-adapter.ts'

const hsm = softHsm()
const kek = randomBytes(32)
let faults: FaultModule

beforeAll(() => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    objects.aes('other')
    objects.rsa('rsa')
  })
})
beforeEach(() => faults.script())
afterAll(() => hsm.remove())

const withToken = (more: Partial<Pkcs11Options>, work: Parameters<typeof withAdapter>[1]) =>
  withAdapter(hsm.options('ekm', { module: faults.path, ...more }), work)

const algorithmsOf = { aes: ['A256KW', 'A256KWP'], rsa: ['RSA-OAEP', 'RSA-OAEP-256'] } as const

async function comesBack(adapter: Pkcs11Adapter, key: string, algorithm: WrapAlgorithm, bytes = 32): Promise<void> {
  const dek = randomBytes(bytes)
  const wrapped = await adapter.wrap(ref(key), algorithm, dek, context())
  expect(Buffer.compare(await adapter.unwrap(ref(key), algorithm, wrapped, context()), dek)).toBe(0)
}

/** Wraps with another key until `work` is done. Returns the number of wraps, none of which may fail. */
async function servesMeanwhile(adapter: Pkcs11Adapter, work: Promise<unknown>): Promise<number> {
  let served = 0
  for (let busy = true; busy; served += 1) {
    await adapter.wrap(ref('other'), 'A256KW', randomBytes(32), context())
    busy = await Promise.race([work.then(() => false), sleep(5).then(() => true)])
  }
  return served
}

describe('a token of 5 ms a call', () => {
  it('is qualified without a lost call or host, and serves all algorithms, with one session', () =>
    withToken({ sessions: 1 }, async (adapter, of) => {
      await adapter.qualify(ref('other'), context())
      faults.script('* delay 5')
      const qualified = Promise.all(['aes', 'rsa'].map((key) => adapter.qualify(ref(key), context(60_000))))
      // Data keys of usual length are served before the length limit is known.
      const served = comesBack(adapter, 'aes', 'A256KW').then(() => 'served')
      expect(await Promise.race([served, qualified])).toBe('served')
      expect(await servesMeanwhile(adapter, qualified)).toBeGreaterThan(5)
      for (const { way, maxBytes, doubtful } of (await qualified).flat()) {
        expect([way !== undefined, maxBytes, doubtful]).toEqual([true, undefined, false])
      }
      for (const key of ['aes', 'rsa'] as const) {
        for (const algorithm of algorithmsOf[key]) await comesBack(adapter, key, algorithm)
      }
      expect(of('hsm_host_lost')).toEqual([])
    }))
})

describe('a value that takes more calls than there is time for', () => {
  it('is wrapped rightly, slice by slice, and other calls are served between the slices', () =>
    withToken({ sessions: 1, callTimeoutMs: 500 }, async (adapter, of) => {
      for (const key of ['aes', 'other']) await adapter.qualify(ref(key), context())
      faults.script('C_EncryptUpdate delay 3', 'C_DecryptUpdate delay 3')
      const dek = randomBytes(800)
      let done = false
      const long = adapter.wrap(ref('aes'), 'A256KWP', dek, context()).finally(() => (done = true))
      await sleep(50)
      await comesBack(adapter, 'other', 'A256KW')
      expect(done).toBe(false)
      const wrapped = await long
      expect(Buffer.compare(wrapped, kwp(aes256(kek), dek))).toBe(0)
      expect(Buffer.compare(await adapter.unwrap(ref('aes'), 'A256KWP', wrapped, context()), dek)).toBe(0)
      expect(of('hsm_host_lost')).toEqual([])
    }))

  it('is given up with its caller', () =>
    withToken({ sessions: 1 }, async (adapter) => {
      await adapter.qualify(ref('aes'), context())
      faults.script('C_EncryptUpdate delay 5', 'C_EncryptUpdate log 0')
      await expect(adapter.wrap(ref('aes'), 'A256KWP', randomBytes(2000), context(200))).rejects.toThrow()
      // The current slice is the last.
      await adapter.probe(context())
      faults.logged('C_EncryptUpdate')
      await sleep(200)
      expect(faults.logged('C_EncryptUpdate')).toBe(0)
    }))
})

describe('a key that is read by many calls', () => {
  it('is not taken for a hanging module, however far away the token is', () =>
    withToken({ sessions: 1, callTimeoutMs: 250 }, async (adapter, of) => {
      // The attributes are read one after another, since the token does not know one of them.
      faults.script('C_GetAttributeValue delay 30', 'C_GetAttributeValue without 0x161')
      expect(await adapter.describe(ref('aes'), context())).toMatchObject({ kty: 'oct' })
      expect(of('hsm_host_lost')).toEqual([])
    }))
})

describe('a way that does not return in time', () => {
  it('leaves open whether the token supports it, and costs no other key a call', () =>
    withToken({ sessions: 2, callTimeoutMs: 500 }, async (adapter, of) => {
      await adapter.qualify(ref('other'), context())
      await until('both serve', () => adapter.hosts.length === 2)
      faults.script('C_DecryptInit delay 1500', 'C_UnwrapKey delay 1500')
      const work = adapter.qualify(ref('rsa'), context(60_000))
      await servesMeanwhile(adapter, work)
      const found = await work
      expect(found.map(({ way, doubtful }) => [way, doubtful])).toEqual([
        [undefined, true],
        [undefined, true],
      ])
      expect(of('hsm_algorithm_undecided')).toHaveLength(2)
      expect(of('hsm_algorithm_unsupported')).toEqual([])
      const ways = await adapter.inspection.ways(ref('rsa'), context())
      expect(ways).toMatchObject([{ undecided: true }, { undecided: true }])
      const call = comesBack(adapter, 'rsa', 'RSA-OAEP')
      await expect(call).rejects.toBeInstanceOf(AdapterError)
      await expect(call).rejects.toMatchObject({ code: 'BACKEND_BUSY', retryAfterSeconds: 5 })
      faults.script()
      const works = () =>
        comesBack(adapter, 'rsa', 'RSA-OAEP').then(
          () => true,
          () => false,
        )
      await until('it is found out', works)
    }))
})
