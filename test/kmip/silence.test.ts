import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { KeyAdapter } from '../../adapters/contract/index.ts'
import { operation, resultReason } from '../../adapters/kmip/protocol/numbers.ts'
import { oaepWrap } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { rejection } from '../contract/suite.ts'
import { Reports } from '../software/fixtures.ts'
import { ref, within } from './kmip-fixture.ts'
import { atRest } from './support/at-rest.ts'
import { CONNECTIONS, relayed, type Relayed } from './support/relayed.ts'

const dek = randomBytes(32)
const DEADLINE_MS = 200
/** Long enough for another call to be answered meanwhile. */
const LATE_MS = 1000
/** Time for any step on a busy machine. A dead connection would use all of it. */
const PATIENT_MS = 15_000

const wrap = (adapter: KeyAdapter, ms = DEADLINE_MS) => adapter.wrap(ref('aes'), 'A256KW', dek, within(ms))
const sick = ({ all }: Reports) => all.filter(({ event }) => event === 'kmip_server_unreachable')

/** Opens as many connections as there may be. */
async function warmUp({ adapter, relay }: Relayed): Promise<void> {
  await wrap(adapter, PATIENT_MS)
  relay.rules = [{ action: { kind: 'delay', ms: 50 } }]
  await Promise.all(Array.from({ length: 2 * CONNECTIONS }, () => wrap(adapter, PATIENT_MS)))
  relay.rules = []
  expect(relay.connections).toBe(CONNECTIONS)
}

describe('KMIP connections that die silently', () => {
  it('are replaced as soon as one of them is silent', async () => {
    await using relayedOne = await relayed()
    const { adapter, relay, reports } = relayedOne
    await warmUp(relayedOne)
    relay.swallowOpen()
    const died = performance.now()
    await Promise.all(Array.from({ length: 4 }, () => wrap(adapter, PATIENT_MS)))
    expect(performance.now() - died).toBeLessThan(PATIENT_MS / 2)
    await Promise.all(Array.from({ length: 40 }, () => wrap(adapter, PATIENT_MS)))
    expect(sick(reports)).toEqual([])
  })

  it('delay no call for longer than a caller waits', async () => {
    await using relayedOne = await relayed()
    const { adapter, relay } = relayedOne
    await warmUp(relayedOne)
    relay.swallowOpen()
    expect((await adapter.describe(ref('rsa'), within(PATIENT_MS))).kty).toBe('RSA')
  })

  it('are replaced where all of them are busy', async () => {
    await using relayedOne = await relayed({}, { connections: 2 })
    const { adapter, relay, reports } = relayedOne
    await wrap(adapter, PATIENT_MS)
    relay.swallowOpen()
    const died = performance.now()
    const lost = await Promise.allSettled(Array.from({ length: 8 }, () => wrap(adapter)))
    expect(lost).toHaveLength(8)
    await wrap(adapter, PATIENT_MS)
    expect(performance.now() - died).toBeLessThan(PATIENT_MS / 2)
    expect(sick(reports)).toEqual([])
  })

  it('do not delay a probe', async () => {
    await using relayedOne = await relayed()
    const { adapter, relay, reports } = relayedOne
    await warmUp(relayedOne)
    relay.swallowOpen()
    await adapter.probe(within(PATIENT_MS))
    await wrap(adapter, PATIENT_MS)
    await expect.poll(() => relay.dead).toBe(0)
    expect(sick(reports)).toEqual([])
  })
})

describe('KMIP requests that take long', () => {
  it('do not make a server sick that answers others in time', async () => {
    await using relayedOne = await relayed()
    const { adapter, relay, reports } = relayedOne
    const wrapped = oaepWrap(await rsaKey(2048), 'sha256', dek)
    const unwrap = (ms = DEADLINE_MS) => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped, within(ms))
    await wrap(adapter, PATIENT_MS)
    await unwrap(PATIENT_MS)
    const before = relay.received.length
    const slow = { kind: 'delay', ms: 600 } as const
    const [key] = relay.received.at(-1)?.keys ?? []
    relay.rules = [{ ...(key !== undefined && { key }), operation: operation.Decrypt, action: slow }]
    for (let round = 0; round < 3; round++) {
      // The calls come together, and no other call is answered meanwhile.
      const late = await Promise.all(Array.from({ length: 3 }, () => rejection(unwrap())))
      expect(late.map(({ code }) => code)).toEqual(late.map(() => 'DEADLINE_EXCEEDED'))
      for (let call = 0; call < 5; call++) await wrap(adapter, PATIENT_MS)
    }
    expect(relay.received.length).toBeGreaterThan(before)
    expect(sick(reports)).toEqual([])
  })

  it.each([
    { what: 'come late', action: { kind: 'delay', ms: 1.5 * LATE_MS }, fewerBy: 0 },
    { what: 'never come', action: { kind: 'swallow' }, fewerBy: 3 },
  ] as const)('cost $fewerBy of their 3 connections where the replies $what', async (row) => {
    await using relayedOne = await relayed()
    const { adapter, relay } = relayedOne
    const wrapped = oaepWrap(await rsaKey(2048), 'sha256', dek)
    const unwrap = (ms: number) => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', wrapped, within(ms))
    await unwrap(PATIENT_MS)
    await warmUp(relayedOne)
    await atRest(relay)
    const decrypted = () => relay.received.filter(({ operations }) => operations.includes(operation.Decrypt)).length
    const [accepted, before] = [relay.accepted, decrypted()]
    relay.rules = [{ operation: operation.Decrypt, action: row.action }]
    const late = Promise.all(Array.from({ length: 3 }, () => rejection(unwrap(LATE_MS))))
    await expect.poll(decrypted).toBe(before + 3)
    await wrap(adapter, PATIENT_MS)
    expect((await late).map(({ code }) => code)).toEqual(Array(3).fill('DEADLINE_EXCEEDED'))
    relay.rules = []
    expect(relay.connections).toBe(CONNECTIONS)
    await expect.poll(() => relay.connections).toBe(CONNECTIONS - row.fewerBy)
    // All calls come at once, and each gets its own answer.
    await sleep(row.fewerBy === 0 ? LATE_MS : 0)
    await Promise.all(
      Array.from({ length: 4 * CONNECTIONS }, async () => {
        expect(Buffer.compare(await unwrap(PATIENT_MS), dek)).toBe(0)
      }),
    )
    expect(relay.accepted).toBe(accepted + row.fewerBy)
  })
})

describe('a KMIP server that takes one operation in a message', () => {
  it.each([
    { what: 'refuses more', action: { kind: 'refuse', reason: resultReason.InvalidMessage } },
    { what: 'closes', action: { kind: 'cut' } },
  ] as const)('and $what is sent single requests', async ({ action }) => {
    await using relayedOne = await relayed()
    const { adapter, relay, reports } = relayedOne
    relay.rules = [{ batchOver: 1, action }]
    expect(await adapter.describe(ref('aes'), within(PATIENT_MS))).toEqual({ kty: 'oct', bits: 256 })
    const batches = () => relay.received.filter(({ operations }) => operations.length > 1).length
    const tried = batches()
    expect((await adapter.describe(ref('rsa'), within(PATIENT_MS))).kty).toBe('RSA')
    await wrap(adapter, PATIENT_MS)
    expect(batches()).toBe(tried)
    expect(sick(reports)).toEqual([])
  })
})

describe('a KMIP server that is away', () => {
  it('is distinguished from dead connections', async () => {
    await using relayedOne = await relayed()
    const { adapter, relay, reports } = relayedOne
    await warmUp(relayedOne)
    relay.swallowOpen()
    relay.newcomers = 'swallow'
    expect((await rejection(wrap(adapter))).code).toBe('DEADLINE_EXCEEDED')
    await expect.poll(() => sick(reports)).toHaveLength(1)
    expect((await rejection(wrap(adapter))).code).toBe('BACKEND_UNAVAILABLE')
    relay.newcomers = 'serve'
    await expect.poll(() => wrap(adapter).then(Boolean, () => false)).toBe(true)
  })
})
