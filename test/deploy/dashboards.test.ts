import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startServing, type Serving } from '../commands/serving.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { makeList } from '../support/crl.ts'
import { aesKey, contosoPool } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, send } from '../support/https.ts'
import { CLIENT_CN, makePki } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { startPrometheus, type Prometheus } from './support/prometheus.ts'

const folder = new URL('../../deploy/grafana/', import.meta.url).pathname

interface Panel {
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly targets?: readonly { readonly refId: string; readonly expr: string }[]
}
interface Dashboard {
  readonly title: string
  readonly panels: readonly Panel[]
}

const dashboards = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Dashboard)
/** The query as Grafana sends it, with its variables filled in, for a scrape each second. */
const filledIn = (expression: string) =>
  expression.replaceAll('$__rate_interval', '15s').replaceAll('$job', 'ekm-gateway').replaceAll('$pool', '.*')

const queries = dashboards.flatMap(({ title, panels }) =>
  panels.flatMap((panel) =>
    (panel.targets ?? []).map(({ refId, expr }) => [`${title}: ${panel.title} ${refId}`, expr] as const),
  ),
)

let workspace: Workspace
let hsm: SoftHsm
let gateway: Serving
let prometheus: Prometheus
let isLoaded = true
let load: Promise<void>

/** A pool of a token and a pool of a store, with every optional setting, under a load that sometimes fails. */
beforeAll(async () => {
  const pki = await makePki()
  workspace = await makeWorkspace()
  hsm = softHsm()
  hsm.initToken('dashboards')
  onToken('dashboards', (objects) => objects.aes('aes-1', {}, randomBytes(32)))
  const clients = [
    { subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'], revocation: { lists: ['crl.pem'] } },
  ]
  const settings = {
    admin: { port: 0 },
    files: { pin: PIN, 'crl.pem': await makeList(pki.clientCa) },
    backends: {
      hsm: { kind: 'pkcs11', module: MODULE, token: { label: 'dashboards' }, pin: { file: 'pin' }, sessions: 2 },
    },
    pools: [
      contosoPool('contoso', { 'aes-1': {} }),
      { name: 'of the HSM', pathPrefix: 'hsm', clients, backend: 'hsm', keys: { 'aes-1': {} } },
    ],
  }
  gateway = await startServing(pki, [aesKey('aes-1')], settings, {
    environment: { SOFTHSM2_CONF: process.env['SOFTHSM2_CONF'] ?? '' },
  })
  const { port } = await gateway.logs('admin_listening')
  prometheus = await startPrometheus(workspace, Number(port))
  const agent = makeAgent(pki)
  const ask = (path: string, members: object = {}) =>
    send(gateway.port, pki, { agent, path: `/${path}?${API}`, body: { request_context: CONTEXT, ...members } })
  const once = async (prefix: string) => {
    await ask(`${prefix}/info`)
    const { json } = await ask(`${prefix}/aes-1/wrapkey`, { alg: 'A256KW', value: 'A'.repeat(43) })
    for (const value of [json['value'], 'B'.repeat(54)]) {
      await ask(`${prefix}/aes-1/unwrapkey`, { alg: 'A256KW', value })
    }
  }
  load = (async () => {
    while (isLoaded) {
      await Promise.all(['contoso', 'hsm'].map(once))
      await sleep(50)
    }
    agent.destroy()
  })()
  const settled = `sum(rate(ekm_requests_total{status="200"}[15s])) > 0`
  await vi.waitFor(async () => expect(await prometheus.query(settled)).toHaveLength(1), 60_000)
  await sleep(10_000)
})
afterAll(async () => {
  isLoaded = false
  await load?.catch(() => undefined)
  await prometheus?.stop()
  await gateway?.remove()
  hsm?.remove()
  await workspace?.remove()
})

it('one dashboard is for the operator on call, and one for capacity', () => {
  expect(dashboards.map(({ title }) => title).sort()).toEqual(['EKM gateway: capacity', 'EKM gateway: on call'])
})

it('every panel describes its contents', () => {
  const panels = dashboards.flatMap((dashboard) => dashboard.panels).filter(({ type }) => type !== 'row')
  expect(
    panels.filter(({ description, targets }) => !description || !targets?.length).map(({ title }) => title),
  ).toEqual([])
})

describe('a query of a panel has data', () => {
  it.each(queries)('%s', async (_name, expression) => {
    const samples = await prometheus.query(filledIn(expression))
    expect(samples.filter(({ value: [, value] }) => value !== 'NaN').length).toBeGreaterThan(0)
  })
})
