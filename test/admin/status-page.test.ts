import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServing, type Serving } from '../commands/serving.ts'
import { aesKey, contosoPool, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { metric } from '../support/metrics.ts'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { CLIENT_CN, makePki, type Pki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const VALUE = 'A'.repeat(43)
const TOKEN = 'the-token-of-the-operator'
let pki: Pki
beforeAll(async () => {
  pki = await makePki()
})

const call = (port: number, operation: string, members: object = {}, key = 'kek-1') =>
  send(port, pki, {
    path: `/azureekm/contoso/${key}/${operation}?${API}`,
    body: { request_context: CONTEXT, ...members },
  })
const wrap = (port: number) => call(port, 'wrapkey', { alg: 'A256KW', value: VALUE })
const page = async (port: number, authorization = '') => {
  const reply = await fetch(`http://127.0.0.1:${port}/`, { headers: { authorization } })
  return { status: reply.status, headers: reply.headers, text: await reply.text() }
}
/** Resolves with the page as soon as it matches. */
const says = (port: number, what: string | RegExp, authorization?: string) =>
  eventually(async () => {
    const { text } = await page(port, authorization)
    expect(text).toMatch(what)
    return text
  })

describe('the status page of one process', () => {
  let fixture: TestGateway
  let adapter: FaultyAdapter
  beforeAll(async () => {
    const settings = { admin: { port: 0 }, pools: [contosoPool('azureekm/contoso', { 'kek-1': {}, absent: {} })] }
    fixture = await startTestGateway(pki, [aesKey('kek-1')], settings, async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      return adapter
    })
  })
  afterAll(() => fixture.stop())
  const admin = () => fixture.adminPort ?? 0

  it('is one self-contained page, which no browser stores or frames, and which loads nothing', async () => {
    const { status, headers } = await page(admin())
    expect(status).toBe(200)
    expect(headers.get('content-type')).toMatch(/^text\/html; charset=utf-8$/i)
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'sha256-[\w+/=]+'; /)
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('cache-control')).toBe('no-store')
  })

  it('shows a pool’s calls, its keys and its client', async () => {
    for (let calls = 0; calls < 4; calls += 1) expect((await wrap(fixture.port)).status).toBe(200)
    const text = await says(admin(), />last call<\/dt><dd>\d+ s ago</)
    expect(text).toContain('AES 256')
    expect(text).toContain('of 4 uses failed')
    expect(text).toMatch(/absent<\/th>.*not usable: KEY_NOT_FOUND/)
    expect(text).toMatch(new RegExp(`>${CLIENT_CN}</th><td class="number">\\d+ days`))
  })

  it('shows each failure with its reason, explains the backend’s fault, and shows its end', async () => {
    adapter.fault = { fail: 'BACKEND_UNAVAILABLE' }
    await eventually(async () => {
      await wrap(fixture.port)
      expect((await page(admin())).text).toContain('Azure is not being served')
    })
    const text = await says(admin(), /backend_down/)
    expect(text).toContain('runbook EkmBackendDown')
    expect(text).toMatch(/BACKEND_UNAVAILABLE<\/th><td class="number">\d+</)
    expect(await metric(admin(), 'ekm_failures_total{pool="contoso",reason="BACKEND_UNAVAILABLE"}')).toBeGreaterThan(0)
    adapter.fault = {}
    const after = await says(admin(), /Azure is (?:served|being served)/)
    expect(after).toContain('backend_up')
  })
})

describe('the status page of two processes', () => {
  let serving: Serving
  let port: number
  const bearer = `Bearer ${TOKEN}`
  beforeAll(async () => {
    const settings = {
      workers: 2,
      admin: { host: '0.0.0.0', port: 0, token: { file: 'admin-token' } },
      pools: [contosoPool('azureekm/contoso', { 'kek-1': {} })],
      files: { 'admin-token': `${TOKEN}\n` },
    }
    serving = await startServing(pki, [aesKey('kek-1')], settings)
    port = Number(await serving.cli.says(/"event":"admin_listening".*"port":(\d+)/))
  })
  afterAll(() => serving.remove())

  it('requires the configured token, and does not show it', async () => {
    expect((await page(port)).status).toBe(401)
    const { status, text } = await page(port, bearer)
    expect([status, text.includes(TOKEN)]).toEqual([200, false])
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
    expect((await page(port, 'Bearer a-guess-of-a-stranger')).status).toBe(401)
    expect(await serving.logs('admin_refused')).toMatchObject({ remote_address: '127.0.0.1', reason: 'wrong' })
    expect(serving.logged('admin_open')).toEqual([])
  })

  it('counts refused requests', async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: bearer } })
    expect(await reply.text()).toMatch(/ekm_admin_refused_total\{reason="wrong"\} [1-9]/)
  })

  it('adds up both processes, and shows how each key is done, and since when', async () => {
    for (let calls = 0; calls < 12; calls += 1) expect((await wrap(serving.port)).status).toBe(200)
    const text = await says(port, 'of 12 uses failed', bearer)
    expect(text).toContain('<dt>processes</dt><dd>2 of 2</dd>')
    expect(text.match(/scope="row">pid \d+/g)).toHaveLength(2)
    expect(text).toMatch(/<b>A256KW<\/b> OpenSSL in the gateway.{1,8}s process <span class="soft">since \d/)
  })

  it('reports a lost worker, and keeps its counts', async () => {
    const { text } = await page(port, bearer)
    const [, pid] = /scope="row">pid (\d+)/.exec(text) ?? []
    process.kill(Number(pid), 'SIGKILL')
    await serving.logs('worker_replaced')
    expect(await says(port, 'EkmWorkersLost', bearer)).toContain('of 12 uses failed')
  })

  it('uses another token after a reload of its file', async () => {
    await serving.workspace.write('admin-token', 'another-token-of-the-operator')
    serving.cli.kill('SIGHUP')
    await serving.logs('reloaded')
    expect((await page(port, bearer)).status).toBe(401)
    await says(port, /last reload<\/dt><dd>.*succeeded/, 'Bearer another-token-of-the-operator')
  })

  it('shows why a reload failed', async () => {
    await serving.workspace.write('admin-token', 'short')
    serving.cli.kill('SIGHUP')
    await serving.logs('reload_failed')
    const text = await says(port, 'EkmReloadFailed', 'Bearer another-token-of-the-operator')
    expect(text).toContain('must hold 16 to 1024 characters of visible ASCII')
  })
})

it('an admin port that others reach without a token is warned of at the start', async () => {
  const serving = await startServing(pki, [aesKey('kek-1')], { admin: { host: '0.0.0.0', port: 0 } })
  expect(await serving.logs('admin_open')).toMatchObject({ level: 'warn', host: '0.0.0.0' })
  await serving.remove()
})
