import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { aesKey, contosoPool, editConfig, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send } from '../support/https.ts'
import { metric } from '../support/metrics.ts'
import { CLIENT_CN, issue, makeClient, makePki, yesterday, type Identity, type Pki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const DAY_MS = 24 * 3_600_000

let pki: Pki
let fixture: TestGateway

beforeAll(async () => {
  pki = await makePki()
  const keys = [aesKey('aes-1'), { ...aesKey('off-1'), enabled: false }]
  fixture = await startTestGateway(pki, keys, {
    admin: { port: 0 },
    pools: [contosoPool('contoso', { 'aes-1': {}, 'off-1': {} }), { ...contosoPool('all', 'all'), name: 'all' }],
  })
})
afterAll(() => fixture.stop())

const sample = (series: string) => metric(fixture.adminPort ?? 0, series)
const info = (prefix: string, identity?: Identity | null) =>
  send(fixture.port, pki, { path: `/${prefix}/info?${API}`, body: { request_context: CONTEXT } }, identity)
const failures = (pool: string, reason: string) =>
  sample(`ekm_authentication_failures_total{pool="${pool}",reason="${reason}"}`)

it('a refused client is counted by the requested pool, and by the reason', async () => {
  const stranger = await makeClient(await issue({ commonName: 'another root', usage: 'authority' }))
  const expired = await makeClient(pki.clientCa, { notAfter: yesterday() })
  const other = await makeClient(pki.clientCa, { commonName: 'fabrikam.managedhsmclient.azure.net' })
  for (const [prefix, identity, pool, reason] of [
    ['contoso', stranger, 'contoso', 'ISSUER_UNKNOWN'],
    ['contoso', expired, 'contoso', 'CERT_HAS_EXPIRED'],
    ['contoso', other, 'contoso', 'CLIENT_NOT_ALLOWED'],
    ['nowhere', other, '', 'CLIENT_NOT_ALLOWED'],
    ['nowhere', null, '', 'NO_CERTIFICATE'],
  ] as const) {
    expect(await failures(pool, reason)).toBe(0)
    expect((await info(prefix, identity)).status).toBe(401)
    expect(await failures(pool, reason)).toBe(1)
  }
  expect(await sample('ekm_requests_total{pool="contoso",operation="info",status="401"}')).toBe(3)
})

it('keys that cannot be used are counted, in pools that list keys', async () => {
  expect(await sample('ekm_keys_listed{pool="contoso"}')).toBe(2)
  expect(await sample('ekm_keys_usable{pool="contoso"}')).toBe(1)
  expect(await sample('ekm_standbys_unproven{pool="contoso"}')).toBe(0)
  await expect(sample('ekm_keys_listed{pool="all"}')).rejects.toThrow('there is no')
})

it('the days left of a client’s certificate are those of its latest one, by pools that allow it', async () => {
  const days = (pool: string) => sample(`ekm_client_certificate_days_left{pool="${pool}",client="${CLIENT_CN}"}`)
  for (const wanted of [20, 80]) {
    const client = await makeClient(pki.clientCa, { notAfter: new Date(Date.now() + wanted * DAY_MS) })
    expect((await info('contoso', client)).status).toBe(200)
    for (const pool of ['contoso', 'all']) expect(await days(pool)).toBeCloseTo(wanted, 1)
  }
  const other = await makeClient(pki.clientCa, { commonName: 'fabrikam.managedhsmclient.azure.net' })
  await info('contoso', other)
  const page = await (await fetch(`http://127.0.0.1:${fixture.adminPort ?? 0}/metrics`)).text()
  expect(page).not.toContain('fabrikam')
})

it('after a reload a new pool has its series at 0, and one that is gone has none', async () => {
  const file = await editConfig<{ pools: { name: string; pathPrefix: string }[] }>(fixture.workspace, ({ pools }) => {
    pools.splice(1, 1, { ...contosoPool('fresh', 'all'), name: 'fresh' })
  })
  ;(await fixture.gateway.prepare(loadConfig(file, {}))).commit()
  expect(await sample('ekm_requests_total{pool="fresh",operation="wrapkey",status="408"}')).toBe(0)
  expect(await failures('fresh', 'CERT_HAS_EXPIRED')).toBe(0)
  expect(await failures('contoso', 'CERT_HAS_EXPIRED')).toBe(1)
  await expect(sample('ekm_requests_total{pool="all",operation="info",status="200"}')).rejects.toThrow('there is no')
  await expect(sample(`ekm_client_certificate_days_left{pool="all",client="${CLIENT_CN}"}`)).rejects.toThrow(
    'there is no',
  )
  await eventually(async () => expect(await sample('ekm_keys_usable{pool="contoso"}')).toBe(1))
})
