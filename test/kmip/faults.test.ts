import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AdapterError, type AdapterErrorCode, type CallContext } from '../../adapters/contract/index.ts'
import { operation } from '../../adapters/kmip/protocol/numbers.ts'
import { aes256, kw, oaepWrap } from '../contract/reference.ts'
import { rejection } from '../contract/suite.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { inTime } from '../support/in-time.ts'
import { kmipFixture, ref, within, type KmipFixture } from './kmip-fixture.ts'
import { faultKinds, SLOW_MS, type FaultKind } from './server/faults.ts'

const dek = randomBytes(32)
const DEADLINE_MS = 1000

/** The caller's error for each fault, and whether the connection stays usable. */
const expected: Readonly<Record<FaultKind, { readonly code: AdapterErrorCode | 'none'; readonly keeps: boolean }>> = {
  slow: { code: 'none', keeps: true },
  hang: { code: 'DEADLINE_EXCEEDED', keeps: false },
  close: { code: 'BACKEND_UNAVAILABLE', keeps: false },
  reset: { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'reset mid-reply': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'half a frame': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  garbage: { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'oversized length': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'truncated inside': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'padding not zero': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'wrong batch id': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'wrong operation': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'wrong object': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'wrong batch count': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  // A message of one item has no order.
  'replies reordered': { code: 'none', keeps: true },
  // The first of the two replies is right. The second shows that the connection is not.
  'two replies': { code: 'none', keeps: false },
  pending: { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'failure without reason': { code: 'BACKEND_UNAVAILABLE', keeps: false },
  'refused: general failure': { code: 'BACKEND_UNAVAILABLE', keeps: true },
  'refused: limit exceeded': { code: 'BACKEND_BUSY', keeps: true },
}

interface Use {
  readonly name: string
  readonly operation: number
  readonly run: (fixture: KmipFixture, context: CallContext) => Promise<unknown>
  /** Deviations from the table. */
  readonly differs?: Partial<typeof expected>
  /** Sends its request on a fresh connection too, if an open one does not answer properly. */
  readonly opensFresh?: true
}

let rsaWrapped: Uint8Array

const probed: AdapterErrorCode = 'BACKEND_UNAVAILABLE'
const uses: readonly Use[] = [
  {
    name: 'wrap',
    operation: operation.Encrypt,
    run: ({ adapter }, context) => adapter.wrap(ref('aes'), 'A256KW', dek, context),
  },
  {
    name: 'unwrap',
    operation: operation.Decrypt,
    run: ({ adapter, kek }, context) => adapter.unwrap(ref('aes'), 'A256KW', kw(aes256(kek), dek), context),
  },
  {
    name: 'RSA unwrap',
    operation: operation.Decrypt,
    run: ({ adapter }, context) => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, context),
  },
  {
    name: 'probe',
    operation: operation.DiscoverVersions,
    run: ({ adapter }, context) => adapter.probe(context),
    opensFresh: true,
    differs: {
      'wrong object': { code: 'none', keeps: true },
      'refused: limit exceeded': { code: probed, keeps: true },
    },
  },
]

describe.each(uses)(
  'the KMIP adapter survives a fault during $name',
  ({ operation: code, run, differs, opensFresh = false }) => {
    let fixture: KmipFixture

    beforeAll(async () => {
      rsaWrapped = oaepWrap(await rsaKey(2048), 'sha256', dek)
      fixture = await kmipFixture({}, { connections: 1 })
      // The key is qualified beforehand, so that the fault affects this operation only.
      for (const algorithm of ['A256KW', 'A256KWP'] as const)
        await fixture.adapter.wrap(ref('aes'), algorithm, dek, within(5000))
      await fixture.adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, within(5000))
    })

    afterAll(() => fixture[Symbol.asyncDispose]())

    beforeEach(async () => {
      fixture.server.fault = undefined
      // After three failures in a row, the adapter first leaves the server alone for a moment.
      await expect.poll(() => run(fixture, within(10_000)).then(() => 'well', String)).toBe('well')
    })

    // A busy machine can have the server examined on a further connection, but not each time.
    it.each(faultKinds)('%s', { retry: 3 }, async (kind) => {
      const { code: wanted, keeps } = differs?.[kind] ?? expected[kind]
      const accepted = fixture.server.accepted
      const asked = () => fixture.server.received.filter((received) => received === code).length
      const before = asked()
      fixture.server.fault = { kind, operation: code }
      const context = within(DEADLINE_MS)
      const outcome = await inTime(context, run(fixture, context)).then(
        () => 'none',
        (error: unknown) => (error instanceof AdapterError ? error.code : String(error)),
      )
      expect(outcome).toBe(wanted)

      // The operation works as soon as the fault ends, on the same connection or on another.
      const sent = asked() - before
      fixture.server.fault = undefined
      if (!keeps) await sleep(5)
      await run(fixture, within(10_000))
      if (opensFresh) {
        // Requests in the background must not be answered in the next case.
        for (let seen = -1; seen !== fixture.server.received.length; await sleep(kind === 'slow' ? 2 * SLOW_MS : 20)) {
          seen = fixture.server.received.length
        }
        return
      }
      const opened = fixture.server.accepted - accepted
      if (keeps) expect(opened).toBe(0)
      // Each lost connection has a successor, or each attempt has one. A further connection shows that the server is
      // well.
      else expect(opened).toBeLessThanOrEqual(1 + (kind === 'close' || kind === 'reset' ? sent : 1))
    })
  },
)

describe('a fault of the KMIP server', () => {
  it('in one item of a batch, such as reordered replies, fails the whole message', async () => {
    await using fixture = await kmipFixture()
    // The adapter now knows that this server takes batches.
    await fixture.adapter.describe(ref('rsa'), within(10_000))
    fixture.server.fault = { kind: 'replies reordered', operation: operation.Locate }
    expect((await rejection(fixture.adapter.describe(ref('aes'), within(10_000)))).code).toBe('BACKEND_UNAVAILABLE')
    fixture.server.fault = undefined
    expect(await fixture.adapter.describe(ref('aes'), within(10_000))).toEqual({ kty: 'oct', bits: 256 })
  })

  it('of each kind during a description has no effect afterwards', async () => {
    await using fixture = await kmipFixture()
    for (const kind of faultKinds) {
      for (const asked of [operation.Locate, operation.GetAttributes]) {
        fixture.server.fault = { kind, operation: asked }
        const outcome = await fixture.adapter.describe(ref('aes'), within(DEADLINE_MS)).catch((error: unknown) => error)
        fixture.server.fault = undefined
        expect(outcome, kind).not.toBeInstanceOf(TypeError)
        await expect
          .poll(() => fixture.adapter.describe(ref('aes'), within(6000)).then(({ kty }) => kty, String))
          .toBe('oct')
        await sleep(0)
      }
    }
  })
})
