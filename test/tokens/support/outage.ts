import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openConnections } from '../../bench/load.ts'
import { makeCall, makePair, type Call } from '../../bench/request.ts'
import type { TestKey } from '../../contract/harness.ts'
import { aes256, kw, oaepWrap } from '../../contract/reference.ts'
import { rsaKey } from '../../contract/rsa-keys.ts'
import { PIN } from '../../pkcs11/support/softhsm.ts'
import { libraryOf, putKeys } from '../../pkcs11/support/token-kind.ts'
import { startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { makePki } from '../../support/pki.ts'
import { SteadyStream, targetOf } from '../../support/steady-stream.ts'
import type { DeviceKind, DeviceToken } from './device-kind.ts'

const AWAY_MS = 2000
const BACK_WITHIN_MS = 2000

const pathPrefix = 'azureekm/contoso'

/** Takes the device away and back under steady traffic. No valid value or key may be called bad. */
export function describeOutage(kind: DeviceKind): void {
  const { ratePerSecond, deadlineMs } = kind.pace ?? { ratePerSecond: 40, deadlineMs: 500 }
  // Enough callers to use the token where all calls are slow, and few enough that none is idle for long.
  const connections = (2 * ratePerSecond * deadlineMs) / 1000

  describe('an outage of the device', () => {
    let token: DeviceToken
    let gateway: TestGateway
    let calls: readonly Call[]

    beforeAll(async () => {
      const pki = await makePki()
      token = await kind.make()
      const [kek, dataKey, jwk] = [randomBytes(32), randomBytes(32), await rsaKey(2048)]
      const keys: TestKey[] = [
        { name: 'aes-1', material: { kty: 'oct', k: kek } },
        { name: 'rsa-1', material: { kty: 'RSA', bits: 2048, jwk } },
      ]
      putKeys(token, keys)
      const wrapped = oaepWrap(jwk, 'sha256', dataKey)
      calls = [
        ...makePair({ pathPrefix, key: 'aes-1', alg: 'A256KW' }, dataKey, kw(aes256(kek), dataKey)),
        makeCall({
          pathPrefix,
          key: 'rsa-1',
          alg: 'RSA-OAEP-256',
          operation: 'unwrapkey',
          value: wrapped,
          result: dataKey,
        }),
      ]
      const settings = { kind: 'pkcs11', ...libraryOf(token), token: { label: token.label }, sessions: 2 }
      gateway = await startTestGateway(pki, [], {
        backend: { ...settings, pin: { file: 'pin' } },
        files: { pin: PIN },
        admin: { port: 0 },
        limits: { deadlineMs },
      })
    })

    afterAll(async () => {
      await gateway.stop()
      await token.remove()
    })

    const isReady = async () => (await fetch(`http://127.0.0.1:${gateway.adminPort}/readyz`)).status === 200
    const servesFor = async (ms: number, stream: SteadyStream) => {
      const { right } = stream
      await sleep(ms)
      return stream.right > right
    }

    it.each([AWAY_MS, 0])(
      'of %i ms causes no 400 or 404 for a valid value, and service is back within 2 s',
      async (away) => {
        const stream = new SteadyStream(
          await openConnections(targetOf(gateway.port, gateway.pki), connections),
          calls,
          ratePerSecond,
        )
        // Waits until the key is qualified and served.
        await vi.waitFor(() => expect(stream.right).toBeGreaterThan(2 * ratePerSecond), 20_000)
        const before = stream.failures.length
        await token.takeAway()
        await sleep(away)
        // Some tokens serve on without their device.
        const unserved = away > 0 && !(await servesFor(1000, stream))
        const ready = await isReady()
        await token.giveBack()
        const returned = performance.now()
        await sleep(BACK_WITHIN_MS)
        const serves = await servesFor(1000, stream)
        await vi.waitFor(async () => expect(await isReady()).toBe(true), 5000)
        await stream.stop()
        const failures = stream.failures.slice(before)
        const untrue = failures.filter(({ what }) => /^40[04]/.test(what))
        expect([...new Set(untrue.map(({ what }) => what))]).toEqual([])
        if (unserved) expect(ready).toBe(false)
        const late = failures.filter(({ sent }) => sent > returned + BACK_WITHIN_MS)
        expect(late.map(({ what }) => what)).toEqual([])
        expect(serves).toBe(true)
      },
    )
  })
}
