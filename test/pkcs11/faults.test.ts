import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdapterError, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { ckrRow } from '../../adapters/pkcs11/cryptoki/ckr-table.ts'
import { open, type Pkcs11Adapter } from '../../adapters/pkcs11/index.ts'
import { aes256, kw, kwp } from '../contract/reference.ts'
import { faultModule, type FaultModule } from './support/fault-module.ts'
import { context, recorder, ref, sleep, until } from './support/harness.ts'
import { softHsm } from './support/softhsm.ts'
import { onToken } from './support/token-objects.ts'

const hsm = softHsm()
const kek = randomBytes(32)
const recorded = recorder()
let faults: FaultModule
let adapter: Pkcs11Adapter

beforeAll(async () => {
  faults = faultModule(hsm)
  hsm.initToken('ekm')
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, kek)
    objects.rsa('rsa')
  })
  adapter = await open(hsm.options('ekm', { module: faults.path, sessions: 2, callTimeoutMs: 5000 }), recorded.report)
  for (const key of ['aes', 'rsa']) await adapter.qualify(ref(key), context())
})
beforeEach(async () => {
  faults.script()
  await until('all serve', () => adapter.hosts.length === 2)
  // A new host learns from its first unwrap how the token takes a data key, and tries another way if that fails.
  await Promise.all([unwrap('A256KW'), unwrap('A256KW')])
  recorded.reported.length = 0
})
afterAll(async () => {
  await adapter.close()
  hsm.remove()
})

const dek = randomBytes(32)
const wrapped: Partial<Record<WrapAlgorithm, Uint8Array>> = {
  A256KW: kw(aes256(kek), dek),
  A256KWP: kwp(aes256(kek), dek),
}

/** The first function of the module that each operation calls after its key is found. */
const operations = [
  { name: 'wrap A256KW', at: 'C_WrapKey', run: () => adapter.wrap(ref('aes'), 'A256KW', dek, context()) },
  { name: 'unwrap A256KW', at: 'C_UnwrapKey', run: () => unwrap('A256KW') },
  { name: 'wrap A256KWP', at: 'C_EncryptUpdate', run: () => adapter.wrap(ref('aes'), 'A256KWP', dek, context()) },
  { name: 'unwrap A256KWP', at: 'C_DecryptUpdate', run: () => unwrap('A256KWP') },
  { name: 'unwrap RSA-OAEP', at: 'C_Decrypt', run: () => unwrapRsa('RSA-OAEP') },
  { name: 'unwrap RSA-OAEP-256', at: 'C_Decrypt', run: () => unwrapRsa('RSA-OAEP-256') },
] as const

const unwrap = (algorithm: 'A256KW' | 'A256KWP') =>
  adapter.unwrap(ref('aes'), algorithm, wrapped[algorithm] ?? new Uint8Array(), context())

async function unwrapRsa(algorithm: 'RSA-OAEP' | 'RSA-OAEP-256') {
  return adapter.unwrap(ref('rsa'), algorithm, await adapter.wrap(ref('rsa'), algorithm, dek, context()), context())
}

/** A code of each kind in the table, and an unknown one. */
const codes = [
  0x05, 0x06, 0x07, 0x20, 0x21, 0x02, 0x30, 0x31, 0x32, 0x40, 0x41, 0x60, 0x62, 0x68, 0x6a, 0x70, 0x82, 0x90,
]
const moreCodes = [0x91, 0xb0, 0xb1, 0xb3, 0xe0, 0x101, 0x110, 0x112, 0x190, 0x200, 0x201, 0x80000042]

const cases = operations.flatMap((operation) =>
  [...codes, ...moreCodes].map((ckr) => ({ ...operation, ckr, hex: `0x${ckr.toString(16)}` })),
)

describe('the adapter survives one answer of the token other than CKR_OK:', () => {
  // On a busy machine one host can do both of the first unwraps, and the other then learns from the one that fails.
  it.each(cases)('$name answered $hex once', { retry: 3 }, async ({ name, at, run, ckr, hex }) => {
    faults.script(`${at} rv ${hex} once`)
    const outcome = await run().then(
      () => 'result',
      (error: unknown) => (error instanceof AdapterError ? error.code : String(error)),
    )
    const row = ckrRow(ckr)
    const expected = name.startsWith('unwrap') ? (row.unwrapError ?? row.error) : row.error
    // The adapter tries the call again without the caller's notice: on a fresh session, or where the failure may have
    // passed. A right way that is suddenly "not supported" is such a failure.
    const again = row.session === 'reopen' || row.session === 'ask' || row.error === 'ALGORITHM_UNSUPPORTED'
    expect(outcome).toBe(again ? 'result' : expected)
    const lost = recorded.of('hsm_host_lost').length
    expect(lost, 'hosts lost').toBe(row.session === 'restart' ? 1 : 0)
    expect(recorded.of('hsm_session_reopened'), 'sessions renewed').toHaveLength(row.session === 'reopen' ? 1 : 0)
    expect(await run()).toBeInstanceOf(Uint8Array)
  })
})

describe('a failure that blames the ciphertext', () => {
  it.each(['0x5', '0x6'])('is the token’s own if the token answers nothing else either (%s)', async (rv) => {
    faults.script(`C_UnwrapKey rv ${rv}`, 'C_GetTokenInfo rv 0x30')
    await expect(unwrap('A256KW')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: Number(rv) })
    faults.script()
    await until('service is back', () => unwrap('A256KW').then(Boolean, () => false))
  })
})

describe.each(['0x7', '0x70', '0xd1'])('a proven way that the token suddenly calls unsupported (%s)', (rv) => {
  it('proves nothing about a value that is wrapped', async () => {
    faults.script(`C_WrapKey rv ${rv}`)
    const call = adapter.wrap(ref('aes'), 'A256KW', dek, context())
    await expect(call).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: Number(rv) })
  })

  it('proves a value invalid if a known value unwraps', async () => {
    faults.script(`C_UnwrapKey instead ${rv}`)
    const bad = Uint8Array.from(wrapped.A256KW ?? [], (byte, index) => (index === 9 ? byte ^ 1 : byte))
    const call = adapter.unwrap(ref('aes'), 'A256KW', bad, context())
    await expect(call).rejects.toMatchObject({ code: 'CIPHERTEXT_INVALID', detail: Number(rv) })
    expect(Buffer.compare(await unwrap('A256KW'), dek)).toBe(0)
    expect(recorded.of('hsm_host_lost')).toEqual([])
  })

  it('proves nothing if no value unwraps', async () => {
    faults.script(`C_UnwrapKey rv ${rv}`)
    await expect(unwrap('A256KW')).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE', detail: Number(rv) })
    expect(recorded.of('hsm_host_lost')).toEqual([])
  })
})

describe('a slow token', () => {
  it('delays no call that another session can serve', async () => {
    // If another key were in use, the last session would be left to it.
    await sleep(1200)
    faults.script('C_WrapKey delay 3000 once')
    const times: number[] = []
    const calls = Array.from({ length: 13 }, async () => {
      const start = performance.now()
      await adapter.wrap(ref('aes'), 'A256KW', dek, context())
      times.push(performance.now() - start)
    })
    await Promise.all(calls)
    // A call that waited for the slow one would end after it.
    expect(times.findIndex((ms) => ms >= 3000)).toBe(times.length - 1)
    expect(recorded.of('hsm_host_lost')).toEqual([])
  })

  it('does not block the event loop', async () => {
    faults.script('C_WrapKey delay 100')
    const ticksMeanwhile = async () => {
      const call = adapter.wrap(ref('aes'), 'A256KW', dek, context())
      let ticks = 0
      const timer = setInterval(() => ticks++, 5)
      await call
      clearInterval(timer)
      return ticks
    }
    // A busy machine can spoil a round. A call that blocks spoils every round.
    let most = 0
    for (let round = 0; round < 20 && most <= 8; round += 1) most = Math.max(most, await ticksMeanwhile())
    expect(most).toBeGreaterThan(8)
  })
})
