import { afterAll, beforeAll, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, contosoPool, makeStore, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { metric } from '../support/metrics.ts'
import { makePki } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { startHaproxy } from '../tls/support/haproxy.ts'
import { eventually } from '../support/eventually.ts'

/** The backends `store` and `second`, which hold the same keys. */
const adapters: Record<string, FaultyAdapter> = {}
let other: Workspace
let fixture: TestGateway

const software = { kind: 'software', passphrase: { file: 'passphrase' } }
/** Takes backends away, and waits until the gateway has noticed. */
async function down(...names: readonly string[]): Promise<void> {
  for (const [name, adapter] of Object.entries(adapters)) {
    adapter.fault = names.includes(name) ? { fail: 'BACKEND_UNAVAILABLE' } : {}
  }
  for (const prefix of ['all', 'second']) {
    const path = `/${prefix}/aes-1/metadata?${API}`
    for (let calls = 0; calls < 5; calls += 1) {
      await send(fixture.port, fixture.pki, { path, body: { request_context: CONTEXT } })
    }
  }
}

beforeAll(async () => {
  other = await makeWorkspace()
  const keys = [aesKey('aes-1'), aesKey('aes-2')]
  await makeStore(other.path('keys'), keys)
  const standby = { standby: { backend: 'second' } }
  const settings = {
    admin: { port: 0 },
    backends: { second: { ...software, directory: other.path('keys') } },
    pools: [
      { ...contosoPool('all', 'all'), name: 'all' },
      { ...contosoPool('some', { 'aes-1': standby, 'aes-2': {} }), name: 'some' },
      { ...contosoPool('both', { 'aes-1': standby, 'aes-2': standby }), name: 'both' },
      { ...contosoPool('second', 'all'), name: 'of the second', backend: 'second' },
    ],
  }
  fixture = await startTestGateway(await makePki(), keys, settings, async (backend, report) => {
    const adapter = new FaultyAdapter(await openBackend(backend, report))
    const isSecond = backend.kind === 'software' && backend.directory === other.path('keys')
    adapters[isSecond ? 'second' : 'store'] = adapter
    return adapter
  })
  await eventually(() => {
    expect(adapters['second']?.calls.filter((name) => name === 'wrap').length).toBeGreaterThanOrEqual(3)
  })
})
afterAll(async () => {
  await fixture.stop()
  await other.remove()
})

const ask = async (path: string) => {
  const reply = await fetch(`http://127.0.0.1:${fixture.adminPort ?? 0}${path}`)
  return { status: reply.status, text: await reply.text() }
}
/** The answers to `/readyz` and to `/readyz?pool=…` of each pool, and each pool's metric. */
async function readiness() {
  const of = async (pool: string) => [
    (await ask(`/readyz?pool=${encodeURIComponent(pool)}`)).status,
    await metric(fixture.adminPort ?? 0, `ekm_pool_ready{pool="${pool}"}`),
  ]
  return {
    any: (await ask('/readyz')).status,
    all: await of('all'),
    some: await of('some'),
    both: await of('both'),
    second: await of('of the second'),
  }
}
const YES = [200, 1]
const NO = [503, 0]
const becomes = (wanted: object) => eventually(async () => expect(await readiness()).toEqual(wanted))

it(
  '/readyz reports each pool’s readiness, and is 503 only when the last pool is lost',
  { timeout: 40_000 },
  async () => {
    await becomes({ any: 200, all: YES, some: YES, both: YES, second: YES })
    await down('store')
    await becomes({ any: 200, all: NO, some: NO, both: YES, second: YES })
    expect(JSON.parse((await ask('/status')).text)).toMatchObject({
      ready: true,
      pools: [
        { name: 'all', ready: false, reason: 'the backend store is not ready' },
        { name: 'some', ready: false, reason: 'the backend store is not ready, and 1 of 2 keys have no standby' },
        { name: 'both', ready: true },
        { name: 'of the second', ready: true },
      ],
    })
    await down('store', 'second')
    await becomes({ any: 503, all: NO, some: NO, both: NO, second: NO })
    await down()
    await becomes({ any: 200, all: YES, some: YES, both: YES, second: YES })
  },
)

it('/readyz of an unknown pool is 404, which lists the pools', async () => {
  const text = 'no pool has this name; the pools are: all, some, both, of the second\n'
  expect(await ask('/readyz?pool=none')).toEqual({ status: 404, text })
})

it('HAProxy’s plain check of /readyz, HTTP/1.0 without a Host, finds the gateway up', async () => {
  const { port, adminPort = 0 } = fixture
  await using haproxy = await startHaproxy({ port, adminPort })
  await eventually(async () => expect(await haproxy.health(port)).toBe('UP L7OK'))
})
