import { X509Certificate, randomBytes, randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { askOnce, type Target } from '../bench/http-connection.ts'
import { handlesOf, hostsOf, residentMiB, treeOf } from '../bench/process-tree.ts'
import { assertRight, isRight, makeCall, makePair, type Call } from '../bench/request.ts'
import { openConnections } from '../bench/load.ts'
import { run } from '../commands/cli.ts'
import { startServing, type Serving } from '../commands/serving.ts'
import { aes256, kw, kwp, oaepWrap } from '../contract/reference.ts'
import { rsaKey } from '../contract/rsa-keys.ts'
import { MODULE, PIN, softHsm, type SoftHsm } from '../pkcs11/support/softhsm.ts'
import { onToken } from '../pkcs11/support/token-objects.ts'
import { aesKey } from '../support/gateway.ts'
import { openSocket } from '../support/https.ts'
import { CLIENT_CN, issue, makePki, type Pki } from '../support/pki.ts'
import { metric } from '../support/metrics.ts'
import { MAX_GROWTH_MIB, soakSeconds } from '../support/soak.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'

const SECONDS = soakSeconds(4)
/** The workload of each of the two backends. */
const RATE = 75
const CONNECTIONS = 4
const SESSIONS = 2
/** Longer than any call takes on a busy machine, so that a 408 is a lost call. */
const DEADLINE_MS = 10_000
const PATIENCE = { timeout: 20_000, interval: 50 }
/** The statuses of a backend without any session. */
const allowedWhileDown = /^(502 .*"BadGateway"|408 .*"RequestTimeout"|429 .*"Throttled")/

let pki: Pki
let hsm: SoftHsm
let served: Serving
let target: Target
/** One call of each kind to each backend. */
let calls: { readonly software: readonly Call[]; readonly hsm: readonly Call[] }

beforeAll(async () => {
  pki = await makePki()
  hsm = softHsm()
  hsm.initToken('ekm')
  const [softwareKek, hsmKek, changingKek] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const rsa = await rsaKey(2048)
  onToken('ekm', (objects) => {
    objects.aes('aes', {}, hsmKek)
    objects.rsa('rsa', {}, { ...rsa })
  })
  calls = { software: callsOf('software', softwareKek, rsa), hsm: callsOf('hsm', hsmKek, rsa) }
  const pool = (name: string, backend: string, keys: object | 'all') => ({
    name,
    pathPrefix: name,
    clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
    backend,
    keys,
  })
  const both = { aes: {}, rsa: {} }
  served = await startServing(
    pki,
    [aesKey('aes', softwareKek), { name: 'rsa', jwk: { ...rsa } }, aesKey('changing', changingKek)],
    {
      limits: { deadlineMs: DEADLINE_MS, keyCacheMs: 500 },
      admin: { port: 0 },
      files: { pin: PIN },
      backends: {
        hsm: { kind: 'pkcs11', module: MODULE, token: { label: 'ekm' }, pin: { file: 'pin' }, sessions: SESSIONS },
      },
      pools: [pool('software', 'store', both), pool('hsm', 'hsm', both), pool('changing', 'store', 'all')],
    },
    { environment: { SOFTHSM2_CONF: `${hsm.directory}/softhsm2.conf` } },
  )
  target = targetOf(served.port, pki)
})

afterAll(async () => {
  await served.remove()
  hsm.remove()
})

function callsOf(pathPrefix: string, kek: Uint8Array, rsa: Awaited<ReturnType<typeof rsaKey>>): Call[] {
  const aes = aes256(kek)
  const dek = () => randomBytes(8 * randomInt(2, 9))
  const deks = [dek(), dek(), dek()]
  return [
    ...deks.flatMap((value) => makePair({ pathPrefix, key: 'aes', alg: 'A256KW' }, value, kw(aes, value))),
    ...deks.flatMap((value) => makePair({ pathPrefix, key: 'aes', alg: 'A256KWP' }, value, kwp(aes, value))),
    ...(['RSA-OAEP', 'RSA-OAEP-256'] as const).map((alg) => {
      const result = dek()
      const value = oaepWrap(rsa, alg === 'RSA-OAEP' ? 'sha1' : 'sha256', result)
      return makeCall({ pathPrefix, key: 'rsa', operation: 'unwrapkey', alg, value, result })
    }),
  ]
}

/** The number of requests that {@link ask} sent to each pool. */
const asked = { software: 0, hsm: 0, changing: 0 }

/** One request on a connection of its own. */
async function ask(pool: keyof typeof asked, call: Call) {
  asked[pool] += 1
  return askOnce(target, call.request)
}

/** A call whose status alone matters, since nobody knows the values of keys that the gateway made. */
const wrapUnder = (key: string): Call => {
  const value = randomBytes(32)
  return makeCall({ pathPrefix: 'changing', key, operation: 'wrapkey', alg: 'A256KW', value, result: value })
}
const statusUnder = async (key: string) => (await ask('changing', wrapUnder(key))).status

/** The gateway's log without the requests' records, and the number of these records for each pool. */
function follow({ cli }: Serving) {
  const events: Readonly<Record<string, unknown>>[] = []
  const records = new Map<string, number>()
  let rest = ''
  const take = (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const record = JSON.parse(line) as { readonly event: string; readonly pool?: string }
      if (record.event !== 'request') events.push(record)
      else if (record.pool !== undefined) records.set(record.pool, (records.get(record.pool) ?? 0) + 1)
    }
  }
  take(cli.stdout)
  cli.process.stdout?.on('data', (chunk: Buffer) => take(chunk.toString()))
  return { of: (name: string) => events.filter(({ event }) => event === name), records }
}

it(
  'the gateway answers every request rightly while it is reloaded, its hosts die and its keys change, and leaks nothing',
  { timeout: 2 * SECONDS * 1000 + 120_000 },
  async () => {
    const { cli, workspace, file } = served
    const pid = cli.process.pid ?? 0
    const log = follow(served)
    const admin = Number((await served.logs('admin_listening'))['port'])
    const gauge = (name: string, labels: string) => metric(admin, `${name}{${labels}}`)
    const allSessions = () =>
      expect.poll(() => gauge('ekm_backend_connections', 'backend="hsm"'), PATIENCE).toBe(SESSIONS)
    const keys = async (...args: readonly string[]) => {
      const [command = '', ...others] = args
      expect(await run(['keys', command, '--config', file, '--backend', 'store', ...others])).toMatchObject({ code: 0 })
    }
    /** The certificate that a new connection receives. */
    const shown = async () => {
      const socket = await openSocket(served.port, pki)
      const { fingerprint256 } = socket.getPeerCertificate()
      socket.destroy()
      return fingerprint256
    }
    /** The time without an open session. */
    const outages: { readonly from: number; readonly to: number }[] = []
    let added = 0
    const happenings = [
      async function reload() {
        const before = log.of('reloaded').length
        cli.kill('SIGHUP')
        await expect.poll(() => log.of('reloaded').length, PATIENCE).toBeGreaterThan(before)
      },
      async function killOneHost() {
        const [victim = 0] = hostsOf(pid)
        process.kill(victim, 'SIGKILL')
        await expect.poll(() => hostsOf(pid), PATIENCE).not.toContain(victim)
        await allSessions()
      },
      async function disableAndEnableKey() {
        await keys('disable', 'changing')
        const refused = { status: 403, body: expect.stringContaining('"KeyDisabled"') as string }
        await expect.poll(() => ask('changing', wrapUnder('changing')), PATIENCE).toMatchObject(refused)
        await keys('enable', 'changing')
        await expect.poll(() => statusUnder('changing'), PATIENCE).toBe(200)
      },
      async function killAllHosts() {
        const from = performance.now()
        const victims = hostsOf(pid)
        for (const victim of victims) process.kill(victim, 'SIGKILL')
        await expect.poll(() => hostsOf(pid).filter((child) => victims.includes(child)), PATIENCE).toEqual([])
        await allSessions()
        const [call] = calls.hsm
        await expect.poll(async () => call && isRight(call, await ask('hsm', call)), PATIENCE).toBe(true)
        outages.push({ from, to: performance.now() })
      },
      async function addKey() {
        const name = `added-${(added += 1)}`
        expect(await statusUnder(name)).toBe(404)
        await keys('create', name, '--type', 'oct')
        await expect.poll(() => statusUnder(name), PATIENCE).toBe(200)
      },
      async function renewCertificate() {
        const renewed = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
        await workspace.write('server.pem', renewed.certificate)
        await workspace.write('server.key', renewed.key)
        await expect.poll(shown, PATIENCE).toBe(new X509Certificate(renewed.certificate).fingerprint256)
      },
    ]

    for (const pool of ['software', 'hsm'] as const) {
      for (const call of calls[pool]) {
        await expect.poll(async () => isRight(call, await ask(pool, call)), PATIENCE).toBe(true)
      }
    }
    await allSessions()
    const connections = {
      software: await openConnections(target, CONNECTIONS),
      hsm: await openConnections(target, CONNECTIONS),
    }
    const software = new SteadyStream(connections.software, calls.software, RATE)
    const withHsm = new SteadyStream(connections.hsm, calls.hsm, RATE)
    await sleep(1000)
    const before = { handles: handlesOf(treeOf(pid)), residentMiB: residentMiB(treeOf(pid)) }
    const end = performance.now() + SECONDS * 1000
    for (let turn = 0; turn < happenings.length || performance.now() < end; turn += 1) {
      await happenings[turn % happenings.length]?.()
      await sleep(200)
    }
    await Promise.all([software.stop(), withHsm.stop()])

    expect(software.failures).toEqual([])
    // Another host repeats a call of a dying host. The call may fail if there is no other host for a while.
    const unexplained = withHsm.failures.filter(
      ({ sent, ended, what }) =>
        !allowedWhileDown.test(what) || !outages.some(({ from, to }) => from <= ended && sent <= to),
    )
    expect(unexplained).toEqual([])
    for (const { right, sent, failures } of [software, withHsm]) {
      expect(right + failures.length).toBe(sent)
      expect(right).toBeGreaterThan(RATE)
    }

    // The first connections still serve, with the sessions and backends of the beginning.
    for (const [backend, own] of [
      ['software', connections.software],
      ['hsm', connections.hsm],
    ] as const) {
      for (const connection of own)
        for (const call of calls[backend]) assertRight(call, await connection.exchange(call.request))
    }
    expect(hostsOf(pid)).toHaveLength(SESSIONS)
    for (const name of ['ekm_backend_running', 'ekm_backend_queue_length']) {
      for (const backend of ['store', 'hsm']) expect(await gauge(name, `backend="${backend}"`)).toBe(0)
    }
    await expect.poll(() => gauge('ekm_connections', 'client="allowed"'), PATIENCE).toBe(2 * CONNECTIONS)
    // A handle that is open for a moment, such as a key file being read, is closed at the next look.
    await expect.poll(() => handlesOf(treeOf(pid)), PATIENCE).toBeLessThanOrEqual(before.handles)
    const grownMiB = residentMiB(treeOf(pid)) - before.residentMiB
    expect(grownMiB).toBeLessThan(MAX_GROWTH_MIB)

    // Every request has its record, and the log has nothing that an operator must act on.
    const again = CONNECTIONS * calls.software.length
    await expect.poll(() => log.records.get('software'), PATIENCE).toBe(asked.software + software.sent + again)
    await expect.poll(() => log.records.get('hsm'), PATIENCE).toBe(asked.hsm + withHsm.sent + again)
    for (const event of [
      'reload_failed',
      'internal_error',
      'log_lines_dropped',
      'key_file_refused',
      'hsm_login_refused',
    ]) {
      expect(log.of(event)).toEqual([])
    }
    for (const connection of [...connections.software, ...connections.hsm]) connection.close()
    const family = treeOf(pid)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    expect(log.of('stopped')).toMatchObject([{ requests_cut_off: 0 }])
    await expect.poll(() => family.map((one) => handlesOf([one])), PATIENCE).toEqual(family.map(() => 0))
    process.stdout.write(
      `soak: ${software.sent + withHsm.sent} requests, ${withHsm.failures.length} failed in ${outages.length} outages, ` +
        `${grownMiB.toFixed(0)} MiB grown\n`,
    )
  },
)
