import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { open } from '../../adapters/kmip/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { aes256, kw } from '../contract/reference.ts'
import { callContext, rejection } from '../contract/suite.ts'
import { ref, within } from './kmip-fixture.ts'
import { activateIfNeeded, registerAes } from './register.ts'
import { cosmianLike } from './server/behaviour.ts'
import { KmipTestServer } from './server/kmip-server.ts'
import { startTestServer } from './test-server.ts'
import { atRest } from './support/at-rest.ts'

const dek = randomBytes(32)
const keks = { aes: randomBytes(32), other: randomBytes(32) }

/** Two servers with the same keys. The identifier of each key on one is that of the other key on the other. */
async function twoServers(onSecond: readonly (keyof typeof keks)[] = ['other', 'aes']) {
  const first = await startTestServer()
  const { pki, options } = first
  const second = new KmipTestServer(cosmianLike, pki.server, pki.clientCa.certificate)
  await second.start()
  const servers = [first.server, second].map(({ port }) => ({ host: '127.0.0.1', port }))
  const ids: string[][] = []
  for (const [server, names] of [
    [servers[0], ['aes', 'other']],
    [servers[1], onSecond],
  ] as const) {
    const cluster = new KmipCluster({ ...options, servers: server ? [server] : [] }, () => undefined)
    const made: string[] = []
    for (const name of names) {
      const id = await registerAes(cluster, keks[name], { name })
      await activateIfNeeded(cluster, id)
      made.push(id)
    }
    ids.push(made)
    cluster.close()
  }
  expect(ids[0]).toEqual(expect.arrayContaining(ids[1] ?? []))
  const adapter = await open({ ...options, servers }, () => undefined)
  const isRight = async (name: keyof typeof keks) => {
    const right = kw(aes256(keks[name]), dek)
    const context = within(5000)
    expect(Buffer.from(await adapter.wrap(ref(name), 'A256KW', dek, context))).toEqual(Buffer.from(right))
    expect(Buffer.from(await adapter.unwrap(ref(name), 'A256KW', right, context))).toEqual(dek)
  }
  /** The adapter has noticed by then that its connections are closed. */
  const stopFirst = async () => {
    await first.server.stop()
    await sleep(100)
  }
  const stop = async () => {
    await adapter.close()
    await first.server.stop()
    await second.stop()
  }
  return { adapter, first: first.server, second, isRight, stopFirst, stop }
}

it('KMIP servers that name the same keys by other identifiers use the right key, also from one to the other', async () => {
  const { first, isRight, stopFirst, stop } = await twoServers()
  await isRight('aes')
  await isRight('other')
  await stopFirst()
  for (const name of ['aes', 'other', 'aes', 'other'] as const) await isRight(name)
  await first.start()
  // It is probed, and used again.
  for (let round = 0; round < 20; round += 1) {
    await isRight('aes')
    await isRight('other')
    await sleep(100)
  }
  await stop()
})

it('a KMIP key that was described a moment ago is described while no server can be asked', async () => {
  const { adapter, second, isRight, stopFirst, stop } = await twoServers()
  await isRight('aes')
  await second.stop()
  const described = await adapter.describe(ref('aes'), callContext())
  await stopFirst()
  expect((await rejection(adapter.wrap(ref('aes'), 'A256KW', dek, within(5000)))).code).toBe('BACKEND_UNAVAILABLE')
  expect(await adapter.describe(ref('aes'), callContext())).toEqual(described)
  await stop()
})

it('a key that one KMIP server does not have is not called missing while another server cannot be asked', async () => {
  const { adapter, first, isRight, stopFirst, stop } = await twoServers(['other'])
  const codeOf = async (name: string) => (await rejection(adapter.wrap(ref(name), 'A256KW', dek, within(5000)))).code
  await isRight('aes')
  expect(await codeOf('absent')).toBe('KEY_NOT_FOUND')
  await stopFirst()
  expect([await codeOf('aes'), await codeOf('aes')]).toEqual(['BACKEND_UNAVAILABLE', 'BACKEND_UNAVAILABLE'])
  await isRight('other')
  await first.start()
  await expect.poll(() => isRight('aes').then(() => 'right', String)).toBe('right')
  expect(await codeOf('absent')).toBe('KEY_NOT_FOUND')
  await stop()
})

it('a KMIP server that is not needed yet has its keys ready, so that the first call is answered at once', async () => {
  const { adapter, second, isRight, stopFirst, stop } = await twoServers()
  await adapter.describe(ref('aes'), callContext())
  await isRight('aes')
  await expect.poll(() => second.received.length).toBeGreaterThan(20)
  await atRest(second)
  await stopFirst()
  const before = second.received.length
  await isRight('aes')
  // A negotiation and what finds that the first server is away, and no qualification.
  expect(second.received.length - before).toBeLessThan(8)
  await stop()
})
