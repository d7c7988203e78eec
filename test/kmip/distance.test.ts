import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import { KmipAdapter } from '../../adapters/kmip/adapter.ts'
import type { KeyTimes } from '../../adapters/kmip/keys/key-ring.ts'
import { operation, tag } from '../../adapters/kmip/protocol/numbers.ts'
import { Reports } from '../software/fixtures.ts'
import { aes256, kw } from '../contract/reference.ts'
import { callContext, rejection } from '../contract/suite.ts'
import { farFrom, type Distance } from './far-server.ts'
import { kmipFixture, ref, within, type KmipFixture } from './kmip-fixture.ts'
import { activateIfNeeded, registerAes, revoke } from './register.ts'
import type { Behaviour } from './server/behaviour.ts'

const dek = randomBytes(32)
/** The deadline allows one round trip but not two, with room for a busy machine. */
const ROUND_TRIP_MS = 250
const DEADLINE_MS = 450
/** Shortened times: a minute of the gateway takes less than a second. */
const times: KeyTimes = { refreshMs: 150, freshMs: 300, nameMs: 700 }

interface Far extends KmipFixture {
  readonly distance: Distance
}

/** The adapter's server is far away. The test's own connections are not. */
async function farFixture(behaviour: Partial<Behaviour>, roundTripMs = 0): Promise<Far> {
  const fixture = await kmipFixture(behaviour)
  await fixture.adapter.close()
  const distance = await farFrom(fixture.server.port)
  distance.roundTripMs = roundTripMs
  const options = { ...fixture.options, servers: [{ host: '127.0.0.1', port: distance.port }] }
  const adapter = await KmipAdapter.open(options, new Reports().report, times)
  return {
    ...fixture,
    adapter,
    distance,
    [Symbol.asyncDispose]: async () => {
      await adapter.close()
      distance.close()
      await fixture.server.stop()
    },
  }
}

const algorithms: readonly (readonly [key: string, algorithm: WrapAlgorithm])[] = [
  ['aes', 'A256KW'],
  ['aes', 'A256KWP'],
  ['rsa', 'RSA-OAEP-256'],
]

describe.concurrent('a KMIP server that is far away', () => {
  it('serves native keys with no call lost, busy or idle', async () => {
    // The public half has to be found by its name, which is harder. Keys without single blocks need few round trips to
    // check.
    await using far = await farFixture({ links: false, ecb: 'none' }, ROUND_TRIP_MS)
    const { adapter } = far
    const wrapped = await Promise.all(
      algorithms.map(([key, algorithm]) => adapter.wrap(ref(key), algorithm, dek, callContext())),
    )
    // Rounds without a pause, then after all but the Name is out of date, then after the Name is out of date too.
    for (const idleMs of [0, 0, 350, 350, 750]) {
      await pause(idleMs)
      const all = algorithms.map(async ([key, algorithm], index) => {
        const opened = await adapter.unwrap(ref(key), algorithm, wrapped[index] ?? dek, within(DEADLINE_MS))
        return Buffer.compare(opened, dek)
      })
      expect(await Promise.all(all), `after ${idleMs} ms`).toEqual([0, 0, 0])
    }
  })

  it('is distinguished from a silent server, even if it was near before', async () => {
    await using far = await farFixture({})
    const { adapter, distance } = far
    const one = () =>
      adapter.wrap(ref('aes'), 'A256KW', dek, within(DEADLINE_MS)).then(
        () => 'in time',
        () => 'lost',
      )
    const three = () => Promise.all([one(), one(), one()])
    await adapter.wrap(ref('aes'), 'A256KW', dek, callContext())
    distance.roundTripMs = ROUND_TRIP_MS
    // The adapter has to learn the new round trip time.
    for (let turn = 0; turn < 4; turn++) await three()
    const { received } = far.server
    const before = received.length
    for (let turn = 0; turn < 4; turn++) expect(await three()).toEqual(['in time', 'in time', 'in time'])
    // No request only asked whether the server is still there.
    expect(received.slice(before)).not.toContain(operation.DiscoverVersions)
  })

  it('gets the time that its keys need for qualification', async () => {
    await using far = await farFixture({}, 100)
    const { adapter } = far
    await adapter.describe(ref('aes'), callContext())
    const wrapped = await adapter.wrap(ref('aes'), 'A256KW', dek, within(15_000))
    expect(Buffer.compare(wrapped, kw(aes256(far.kek), dek))).toBe(0)
  })
})

describe('using a key whose state was not asked for lately', () => {
  const wrap = ({ adapter }: Far) => adapter.wrap(ref('aes'), 'A256KW', dek, callContext())

  it('releases nothing that the server forbids meanwhile, even if the server still decrypts', async () => {
    await using far = await farFixture({})
    const { adapter, aesId } = far
    const wrapped = await wrap(far)
    const cluster = far.cluster()
    await cluster.call(revoke(aesId, 2), AbortSignal.timeout(5000))
    cluster.close()
    await pause(times.freshMs)
    const call = adapter.unwrap(ref('aes'), 'A256KW', wrapped, callContext())
    expect((await rejection(call)).code).toBe('KEY_DISABLED')
  })

  it('uses another key that now has its Name, and not the old one', async () => {
    await using far = await farFixture({})
    await wrap(far)
    const old = far.server.operations.store.find(far.aesId)
    const name = old?.attributes.findIndex((item) => item.tag === tag.Name) ?? -1
    old?.attributes.splice(name, 1)
    const cluster = far.cluster()
    const kek = randomBytes(32)
    await activateIfNeeded(cluster, await registerAes(cluster, kek, { name: 'aes' }))
    cluster.close()
    await pause(times.nameMs)
    expect(Buffer.compare(await wrap(far), kw(aes256(kek), dek))).toBe(0)
  })

  it('does not forget it while the server is away', async () => {
    await using far = await farFixture({})
    await wrap(far)
    await far.server.stop()
    await pause(times.freshMs)
    expect((await rejection(wrap(far))).code).toBe('BACKEND_UNAVAILABLE')
    await far.server.start()
    const before = far.server.received.length
    await expect
      .poll(() =>
        wrap(far).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    // A forgotten key would have been located and described first.
    const asked: readonly number[] = [operation.Locate, operation.GetAttributes]
    expect(far.server.received.slice(before).filter((code) => asked.includes(code))).toHaveLength(1)
  })
})
