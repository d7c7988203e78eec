import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { BASE, startServing, type Serving } from '../commands/serving.ts'
import { aesKey, contosoPool } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { issue, makeClient, makePki, type Identity, type Pki } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { startAlertmanager, startPrometheus, type Alertmanager, type Prometheus } from './support/prometheus.ts'

/*
 * A gateway in a process of its own, with a real Prometheus and Alertmanager. Each fault occurs once, for the first
 * time in the gateway's life.
 */
let pki: Pki
let workspace: Workspace
let gateway: Serving
let alertmanager: Alertmanager
let prometheus: Prometheus

beforeAll(async () => {
  pki = await makePki()
  workspace = await makeWorkspace()
  gateway = await startServing(pki, [aesKey('aes-1')], {
    admin: { port: 0 },
    pools: [contosoPool('azureekm/contoso', { 'aes-1': {} })],
  })
  const { port } = await gateway.logs('admin_listening')
  alertmanager = await startAlertmanager(workspace)
  prometheus = await startPrometheus(workspace, Number(port), alertmanager)
  await vi.waitFor(async () => expect(await prometheus.query('up{job="ekm-gateway"} == 1')).toHaveLength(1), 30_000)
})
afterAll(async () => {
  await prometheus?.stop()
  await alertmanager?.stop()
  await gateway?.remove()
  await workspace?.remove()
})

const info = (identity?: Identity) =>
  send(gateway.port, pki, { path: `${BASE}/info?${API}`, body: { request_context: CONTEXT } }, identity)
const delivers = (alert: string, wanted: object) =>
  vi.waitFor(
    () =>
      expect(alertmanager.delivered.filter(({ labels }) => labels['alertname'] === alert)).toContainEqual(
        expect.objectContaining(wanted),
      ),
    { timeout: 60_000, interval: 200 },
  )

it('a healthy gateway causes no alert, except for certificates that expire tomorrow', async () => {
  expect((await info()).status).toBe(200)
  const firing = await vi.waitFor(async () => {
    const samples = await prometheus.query('ALERTS{alertstate="firing"}')
    return [...new Set(samples.map(({ metric }) => metric['alertname']))].sort()
  }, 10_000)
  expect(firing.filter((alert) => alert?.includes('Certificate') !== true)).toEqual([])
})

it('the first refused client causes an alert with its pool, the reason and the runbook', async () => {
  const stranger = await makeClient(await issue({ commonName: 'another root', usage: 'authority' }))
  expect((await info(stranger)).status).toBe(401)
  await delivers('EkmAuthenticationFailures', {
    status: 'firing',
    labels: expect.objectContaining({ pool: 'contoso', reason: 'ISSUER_UNKNOWN', severity: 'warning' }) as unknown,
    annotations: {
      summary: 'Clients are refused with ISSUER_UNKNOWN by pool contoso',
      runbook: 'docs/runbooks.md#ekmauthenticationfailures',
    },
  })
})

it('a failed reload causes an alert, which ends after the repair', async () => {
  const good = await readFile(gateway.file)
  await appendFile(gateway.file, 'nonsense: 1\n')
  gateway.cli.kill('SIGHUP')
  await delivers('EkmReloadFailed', { status: 'firing' })
  await writeFile(gateway.file, good)
  gateway.cli.kill('SIGHUP')
  await delivers('EkmReloadFailed', { status: 'resolved' })
})

it('a lost gateway causes an alert', { timeout: 180_000 }, async () => {
  gateway.cli.kill('SIGKILL')
  await gateway.cli.ended
  await vi.waitFor(
    () => expect(alertmanager.delivered.map(({ labels }) => labels['alertname'])).toContain('EkmGatewayDown'),
    {
      timeout: 150_000,
      interval: 500,
    },
  )
})
