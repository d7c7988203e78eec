import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { Variables } from '../../src/settings/variables.ts'
import { startService } from '../../src/service/start.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, startTestGateway, writeGatewayFiles, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { metric } from '../support/metrics.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')

let pki: Pki
let fixture: TestGateway
let adapter: FaultyAdapter

beforeAll(async () => {
  pki = await makePki()
  fixture = await startTestGateway(pki, [aesKey('aes-1')], { admin: { port: 0 } }, async (...backend) => {
    adapter = new FaultyAdapter(await openBackend(...backend))
    return adapter
  })
})
afterAll(() => fixture.stop())

const ask = (path: string) => fetch(`http://127.0.0.1:${fixture.adminPort ?? 0}${path}`)
const call = (operation: string, members: object = {}, key = 'aes-1') =>
  send(fixture.port, pki, {
    path: `/azureekm/contoso/${key}/${operation}?${API}`,
    body: { request_context: CONTEXT, ...members },
  })

const sample = (series: string) => metric(fixture.adminPort ?? 0, series)

describe('the admin port', () => {
  it('answers /healthz while the process lives', async () => {
    const reply = await ask('/healthz')
    expect([reply.status, await reply.text()]).toEqual([200, 'alive\n'])
  })

  it('answers 404 to another path', async () => {
    expect((await ask('/nothing')).status).toBe(404)
  })

  it('counts requests by pool, operation, algorithm and status, and measures the backend’s time', async () => {
    const wrap = 'pool="contoso",operation="wrapkey",algorithm="A256KWP",status="200"'
    for (let i = 0; i < 3; i += 1) await call('wrapkey', { alg: 'A256KWP', value: VALUE })
    await call('metadata', {}, 'no-such-key')
    expect(await sample(`ekm_request_duration_seconds_count{${wrap}}`)).toBe(3)
    expect(await sample(`ekm_request_duration_seconds_bucket{le="+Inf",${wrap}}`)).toBe(3)
    expect(
      await sample('ekm_request_duration_seconds_count{pool="contoso",operation="metadata",algorithm="",status="404"}'),
    ).toBe(1)
    expect(await sample('ekm_backend_duration_seconds_count{backend="store",operation="wrap",code="OK"}')).toBe(3)
    expect(await sample('ekm_backend_up{backend="store"}')).toBe(1)
    expect(await sample('ekm_backend_queue_length{backend="store"}')).toBe(0)
    expect(await sample('nodejs_eventloop_lag_p99_seconds')).toBeGreaterThan(0)
  })

  it('has no series for values that a caller chooses', async () => {
    const series = async () =>
      (await (await ask('/metrics')).text()).split('\n').filter((line) => line.startsWith('ekm_')).length
    await call('metadata', {}, 'key-0')
    const before = await series()
    for (let i = 1; i < 20; i += 1) await call('metadata', {}, `key-${i}`)
    for (let i = 1; i < 20; i += 1) await send(fixture.port, pki, { path: `/path-${i}`, body: {} })
    expect((await series()) - before).toBeLessThan(30)
    const text = await (await ask('/metrics')).text()
    for (const chosen of ['key-1', 'path-1', 'r-1', 'c-1', VALUE]) expect(text).not.toContain(chosen)
  })

  it('is ready while a backend answers', async () => {
    const ready = await ask('/readyz')
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ready: true, draining: false, pools: [{ name: 'contoso', ready: true }] },
    ])
    adapter.fault = { fail: 'BACKEND_UNAVAILABLE' }
    for (let i = 0; i < 5; i += 1) await call('metadata')
    expect((await ask('/readyz')).status).toBe(503)
    expect(await (await ask('/status')).json()).toMatchObject({
      backends: [{ name: 'store', up: false, ready: false }],
    })
    expect(await sample('ekm_backend_up{backend="store"}')).toBe(0)
    adapter.fault = {}
    await eventually(async () => expect((await ask('/readyz')).status).toBe(200))
  })

  it('ends the start with an error where its port is taken, and leaves nothing open', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [], { admin: { port: fixture.adminPort } })
    await expect(startService(file, new Variables({}), { exec: 'none' })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
    })
    await workspace.remove()
  })

  it('answers /readyz with 503 while the gateway drains', async () => {
    const own = await startTestGateway(pki, [aesKey('aes-1')], { admin: { port: 0 } }, async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      return adapter
    })
    let answer: () => void = () => undefined
    adapter.fault = { until: new Promise<void>((resolve) => (answer = resolve)), ofKeys: true }
    const underWay = send(own.port, pki, {
      path: `/azureekm/contoso/aes-1/wrapkey?${API}`,
      body: { request_context: CONTEXT, alg: 'A256KWP', value: VALUE },
    })
    await eventually(() => expect(own.gateway.requestsUnderWay).toBe(1))
    const stopped = own.stop()
    const reply = await fetch(`http://127.0.0.1:${own.adminPort ?? 0}/readyz`)
    expect([reply.status, await reply.json()]).toMatchObject([503, { ready: false, draining: true }])
    answer()
    expect((await underWay).status).toBe(200)
    await stopped
  })
})
