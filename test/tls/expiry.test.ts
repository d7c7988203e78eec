import { afterAll, beforeAll, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Log, LogFields } from '../../src/telemetry/log.ts'
import { certificatesOf, ExpiryWatch } from '../../src/tls/expiry.ts'
import { writeGatewayFiles } from '../support/gateway.ts'
import { issue, makePki, type Pki } from '../support/pki.ts'
import type { Workspace } from '../support/workspace.ts'

const DAY_MS = 24 * 3_600_000
const END = new Date('2031-03-01T00:00:00Z').getTime()

let pki: Pki
let workspace: Workspace
let config: Config
let file: string

beforeAll(async () => {
  pki = await makePki()
  const hosts = ['localhost']
  const server = await issue({ commonName: 'localhost', usage: 'server', hosts, notAfter: new Date(END) }, pki.serverCa)
  pki = { ...pki, server: { ...server, certificate: server.certificate + pki.serverCa.certificate } }
  ;({ workspace, file } = await writeGatewayFiles(pki, []))
  config = loadConfig(file, {})
})
afterAll(() => workspace.remove())

/** A watch with its own clock, and its log events about the server's certificate. */
function watch() {
  let now = 0
  const told: (readonly [string, string, LogFields])[] = []
  const note =
    (level: string) =>
    (event: string, fields: LogFields = {}) => {
      if (fields['role'] === 'server') told.push([level, event, fields])
    }
  const log: Log = {
    error: note('error'),
    warn: note('warn'),
    info: note('info'),
    debug: note('debug'),
    always: note('always'),
    dropped: 0,
    lost: 0,
    close: () => Promise.resolve(),
  }
  const start = (days: number) => {
    now = END - days * DAY_MS
    return new ExpiryWatch(log, config, () => now)
  }
  return { start, told, at: (days: number) => (now = END - days * DAY_MS) }
}

it('the log announces a certificate’s end 30, 14, 7 and 1 days before, once each, and the end itself', () => {
  const { start, told, at } = watch()
  const expiry = start(40)
  const seen: unknown[] = []
  for (const days of [40, 30.5, 29.9, 29, 15, 14, 13, 7, 6.5, 1.5, 0.9, 0.1, -0.1, -3]) {
    at(days)
    const before = told.length
    expiry.check()
    expiry.follow(config)
    for (const [level, event, { days_left }] of told.slice(before)) seen.push([days, level, event, days_left])
  }
  expect(seen).toEqual([
    [29.9, 'warn', 'certificate_expires', 29],
    [14, 'warn', 'certificate_expires', 14],
    [7, 'warn', 'certificate_expires', 7],
    [0.9, 'warn', 'certificate_expires', 0],
    [-0.1, 'error', 'certificate_expired', -1],
  ])
  expect(told[0]?.[2]).toMatchObject({ subject: 'CN=localhost', expires: '2031-03-01T00:00:00.000Z' })
  expiry.close()
})

it('the log announces at once a certificate that is near its end at the start, with the nearest threshold only', () => {
  const { start, told } = watch()
  start(5).close()
  expect(told).toMatchObject([['warn', 'certificate_expires', { days_left: 5 }]])
})

it('the expiry watch knows what each certificate is for, and how many days are left', () => {
  expect(certificatesOf(config).map(({ role, subject }) => [role, subject])).toEqual([
    ['server', 'CN=localhost'],
    ['server_chain', 'CN=test server CA'],
    ['client_ca', 'CN=test client CA'],
  ])
  const { start } = watch()
  const expiry = start(12.5)
  expect(expiry.daysLeft()[0]).toEqual({ role: 'server', subject: 'CN=localhost', days: 12.5 })
  expiry.close()
})

it('the metrics have a hundred of very many lists, those that end first', () => {
  const listOf = (issuer: string, nextUpdate: number) => ({
    fingerprint: issuer,
    issuer: { text: issuer, key: issuer },
    thisUpdate: 0,
    nextUpdate,
    isDelta: false,
    isIndirect: true,
    isCurrent: () => true,
  })
  const lists = Array.from({ length: 101 }, (_, index) => listOf(`ca-${index}`, END + (index === 100 ? 0 : DAY_MS)))
  const [pool] = config.pools
  const clients = pool?.clients.map((entry) => ({ ...entry, revocation: { lists, whenStale: 'warn' } }))
  const many = { ...config, pools: [{ ...pool, clients }] } as unknown as Config
  const { start } = watch()
  const expiry = start(1)
  expiry.follow(many)
  const left = expiry.listDaysLeft()
  expect([left.length, left[0]?.issuer]).toEqual([100, 'ca-100'])
  expiry.close()
})
