import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { appendFile, readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { connect, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import { askOnce } from '../bench/http-connection.ts'
import { openConnections } from '../bench/load.ts'
import { childrenOf, isRunning } from '../bench/process-tree.ts'
import { isRight, makePair, type Call } from '../bench/request.ts'
import { Cli, expectRefusal, run, until, type StartOptions } from '../commands/cli.ts'
import {
  BASE,
  changeConfig,
  infoRequest,
  lessonsAreKnown,
  openRequest,
  startServing,
  wrapRequest,
  type Serving,
} from '../commands/serving.ts'
import { aes256, kw } from '../contract/reference.ts'
import { aesKey, makeStore, writeGatewayFiles, type Settings } from '../support/gateway.ts'
import { API, CONTEXT, send, tlsOptions } from '../support/https.ts'
import {
  CLIENT_CN,
  issue,
  makeClient,
  makeClientBehindIntermediate,
  makePki,
  type Identity,
  type Pki,
} from '../support/pki.ts'
import { metric } from '../support/metrics.ts'
import { SteadyStream, targetOf } from '../support/steady-stream.ts'
import { leftovers } from '../support/leftovers.ts'

const program = fileURLToPath(new URL('faulty-primary.mjs', import.meta.url))

let pki: Pki
const removeLater = leftovers()

beforeAll(async () => {
  pki = await makePki()
})

async function serving(settings: Settings = {}, options: StartOptions = {}): Promise<Serving> {
  const started = await startServing(
    pki,
    [aesKey('aes-1')],
    { workers: 2, limits: { deadlineMs: 20_000 }, ...settings },
    options,
  )
  removeLater(started)
  return started
}

/** Sends requests in sequence on some keep-alive connections, until it is stopped. */
function load(port: number, connections: number) {
  const failures: unknown[] = []
  let replies = 0
  let stopped = false
  const clients = Array.from({ length: connections }, async () => {
    const agent = new Agent({ ...tlsOptions(pki), keepAlive: true, maxSockets: 1 })
    while (!stopped) {
      await send(port, pki, { ...wrapRequest, agent }).then(
        ({ status }) => (status === 200 ? (replies += 1) : failures.push(status)),
        (error: unknown) => failures.push(error),
      )
      // An unthrottled load would take the core from other tests.
      await setTimeout(10)
    }
    agent.destroy()
  })
  return {
    failures,
    get replies() {
      return replies
    },
    stop: async () => {
      stopped = true
      await Promise.all(clients)
    },
  }
}

/** Sends one request on a connection of its own. */
async function visit(port: number, identity: Identity = pki.client, session?: Buffer) {
  const socket = connect({ host: 'localhost', port, ...tlsOptions(pki, identity), ...(session && { session }) })
  let ticket: Buffer | undefined
  socket.on('session', (offered: Buffer) => (ticket = offered))
  const payload = JSON.stringify({ request_context: CONTEXT })
  const reply = await new Promise<string>((resolve, reject) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    socket.once('error', reject)
    const head = `POST ${BASE}/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
    socket.write(`${head}Content-Length: ${payload.length}\r\n\r\n${payload}`)
  })
  const resumed = socket.isSessionReused()
  socket.destroy()
  return { status: Number(reply.slice(9, 12)), resumed, ticket, certificate: '' }
}

const shown = (port: number) =>
  new Promise<string>((resolve, reject) => {
    const socket: TLSSocket = connect({ host: 'localhost', port, ...tlsOptions(pki) }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.once('error', reject)
  })

describe.concurrent('workers', () => {
  it('share the port, log once that they listen, and resume sessions of each other', async () => {
    const { cli, port, logged } = await serving()
    expect(childrenOf(cli.process.pid ?? 0)).toHaveLength(2)
    const first = await visit(port)
    expect(first).toMatchObject({ status: 200, resumed: false })
    for (let visits = 0; visits < 6; visits += 1) {
      expect(await visit(port, pki.client, first.ticket)).toMatchObject({ status: 200, resumed: true })
    }
    expect(logged('listening')).toMatchObject([{ workers: 2, port }])
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    expect(logged('stopped')).toMatchObject([{ requests_cut_off: 0 }])
    // Lines are whole, whichever process wrote them.
    expect(logged('request')).toHaveLength(7)
    for (const line of cli.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event')
  })

  it('learn issuing CAs from each other, so that a session resumes in a worker that never saw its chain', async () => {
    const other = await issue({ commonName: 'another root', usage: 'authority' })
    const pool = { backend: 'store', keys: 'all' }
    const clients = (ca: string) => [{ subjectCommonNames: [CLIENT_CN], caCertificates: [ca] }]
    const { port, cli, logs } = await serving({
      admin: { port: 0 },
      pools: [
        { ...pool, name: 'contoso', pathPrefix: BASE, clients: clients('client-ca.pem') },
        { ...pool, name: 'other', clients: clients('other.pem') },
      ],
      files: { 'other.pem': other.certificate },
    })
    const client = await makeClientBehindIntermediate(pki.clientCa)
    const first = await visit(port, client)
    expect(first.status).toBe(200)
    await lessonsAreKnown({ logs })
    for (let visits = 0; visits < 4; visits += 1) {
      expect((await visit(port, client, first.ticket)).status).toBe(200)
    }
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0 })
  })

  it('are replaced when they die, and the others serve on', async () => {
    const { cli, port, logs, logsTimes } = await serving()
    const requests = load(port, 6)
    await until('some replies', () => requests.replies > 50)
    const [victim = 0, survivor = 0] = childrenOf(cli.process.pid ?? 0)
    process.kill(victim, 'SIGKILL')
    expect(await logs('worker_lost')).toMatchObject({ level: 'error', pid: victim, signal: 'SIGKILL' })
    const { replies } = requests
    await logsTimes('worker_replaced', 1)
    expect(requests.replies).toBeGreaterThan(replies)
    await until('replies by all', () => requests.replies > replies + 100)
    await requests.stop()
    // Only requests under way on the victim are lost: at most one on each of its connections.
    expect(requests.failures.length).toBeLessThanOrEqual(6)
    expect(requests.failures).not.toContain(expect.any(Number))
    const now = childrenOf(cli.process.pid ?? 0)
    expect(now).toHaveLength(2)
    expect(now).toContain(survivor)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('are replaced when they hang, and the others serve on', async () => {
    const [kek, dek] = [randomBytes(32), randomBytes(32)]
    const settings = { workers: 2, limits: { deadlineMs: 30_000 } }
    const served = await startServing(pki, [aesKey('aes', kek)], settings, {
      program,
      environment: { PING_MS: '1000' },
    })
    removeLater(served)
    const { cli, port, logged } = served
    const pid = cli.process.pid ?? 0
    const target = targetOf(port, pki)
    const where = { pathPrefix: BASE.slice(1), key: 'aes', alg: 'A256KW' }
    const calls = makePair(where, dek, kw(aes256(kek), dek))
    const connections = await openConnections(target, 6)
    const stream = new SteadyStream(connections, calls, 100)
    await until('some replies', () => stream.right > 12)

    const [victim = 0, survivor = 0] = childrenOf(pid)
    process.kill(victim, 'SIGSTOP')
    const rightBefore = stream.right
    let visits = 0
    const visitRightly = async (call: Call) => {
      if (isRight(call, await askOnce(target, call.request))) visits += 1
    }
    const visiting = Promise.allSettled([...calls, ...calls].map(visitRightly))
    // One connection goes to the hanging worker, which gets no further one until it accepts that.
    await until('visits', () => visits >= 3)
    // Detection takes 6 seconds: five questions, one a second, and a second for the last answer.
    await until('it is found out', () => logged('worker_lost').length > 0)
    expect(logged('worker_lost')).toMatchObject([{ pid: victim, signal: 'SIGKILL' }])
    expect(stream.right).toBeGreaterThan(rightBefore + 100)
    await until('it is replaced', () => logged('worker_replaced').length === 1)
    expect(isRunning(victim)).toBe(false)
    expect(childrenOf(pid)).toHaveLength(2)
    expect(childrenOf(pid)).toContain(survivor)

    await stream.stop()
    // Workers get connections in turn. The lost requests were under way on connections of the victim.
    expect(stream.failures.length).toBeGreaterThanOrEqual(1)
    expect(stream.failures.length).toBeLessThan(connections.length)
    for (const { what } of stream.failures) expect(what).not.toMatch(/^\d/)
    expect(stream.right + stream.failures.length).toBe(stream.sent)
    for (const connection of connections) connection.close()
    for (const call of [...calls, ...calls]) await visitRightly(call)
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    await visiting
  })

  it('lose no request to many reloads', async () => {
    const served = await serving()
    const { cli, port, logsTimes, logged } = served
    const requests = load(port, 6)
    await until('some replies', () => requests.replies > 50)
    const before = await shown(port)
    const renewed = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
    await served.workspace.write('server.pem', renewed.certificate)
    await served.workspace.write('server.key', renewed.key)
    for (let count = 1; count <= 8; count += 1) {
      await changeConfig(served, (yaml) => Object.assign(yaml['limits'] ?? {}, { maxBodyBytes: 2000 + count }))
      cli.kill('SIGHUP')
      await logsTimes('reloaded', count)
    }
    const shownNow = await Promise.all(Array.from({ length: 4 }, () => shown(port)))
    expect(new Set(shownNow).size).toBe(1)
    expect(shownNow).not.toContain(before)
    await requests.stop()
    expect(requests.failures).toEqual([])
    expect(logged('reloaded')[0]).toMatchObject({ cause: 'SIGHUP', changed: 'listen.tls, limits.maxBodyBytes' })
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('are one gateway on the admin port: counts add up, and the gateway is not ready while they drain', async () => {
    const { cli, port, logs } = await serving({ admin: { port: 0 }, limits: { drainMs: 2000 } })
    const { host, port: admin } = await logs('admin_listening')
    expect(host).toBe('127.0.0.1')
    const ask = (path: string) => fetch(`http://127.0.0.1:${Number(admin)}/${path}`)
    for (let visits = 0; visits < 6; visits += 1) expect((await visit(port)).status).toBe(200)
    // A scrape leaves out a worker that a busy machine keeps from answering.
    const page = await until('the counts of both', async () => {
      const text = await (await ask('metrics')).text()
      return /^ekm_request_duration_seconds_count\{[^}]*operation="info"[^}]*\} 6$/m.test(text) && text
    })
    expect(page).toMatch(/^ekm_tls_handshakes_total\{result="full",reason=""\} 6$/m)
    expect(page).toMatch(/^ekm_certificate_days_left\{role="server",[^}]*\} [1-9]/m)
    expect(page).toMatch(/^ekm_backend_up\{backend="store"\} 1$/m)
    const ready = await ask('readyz')
    expect([ready.status, await ready.json()]).toMatchObject([200, { ready: true, pools: [{ name: 'contoso' }] }])
    const { finish } = await openRequest(port, pki)
    cli.kill('SIGTERM')
    await logs('draining')
    expect((await ask('readyz')).status).toBe(503)
    finish()
    expect((await cli.ended).code).toBe(0)
  })

  it('are one gateway to an alert too: series begin at 0, and a lost worker’s counts stay', async () => {
    const { cli, port, logs, logsTimes, file } = await serving({ admin: { port: 0 } })
    const admin = Number((await logs('admin_listening'))['port'])
    // A scrape leaves out a worker that a busy machine keeps from answering.
    const of = (series: string) => until(series, () => metric(admin, series).catch(() => undefined))
    const requests = (status: number) => of(`ekm_requests_total{pool="contoso",operation="info",status="${status}"}`)
    expect([await requests(200), await requests(401), await requests(408)]).toEqual([0, 0, 0])
    expect(await of('ekm_authentication_failures_total{pool="contoso",reason="CERT_HAS_EXPIRED"}')).toBe(0)
    expect([await of('ekm_workers_lost_total'), await of('ekm_reloads_total{result="failed"}')]).toEqual([0, 0])
    for (let visits = 0; visits < 6; visits += 1) await visit(port)
    await expect.poll(() => requests(200)).toBe(6)
    const [victim = 0] = childrenOf(cli.process.pid ?? 0)
    process.kill(victim, 'SIGKILL')
    await logsTimes('worker_replaced', 1)
    await expect.poll(async () => [await requests(200), await of('ekm_workers_lost_total')]).toEqual([6, 1])
    await appendFile(file, 'nonsense: 1\n')
    cli.kill('SIGHUP')
    await logs('reload_failed')
    expect([await of('ekm_reloads_total{result="failed"}'), await of('ekm_last_reload_successful')]).toEqual([1, 0])
    cli.kill('SIGTERM')
    await cli.ended
  })

  it('reload together or not at all', async () => {
    const served = await serving({}, { program, environment: { PREPARE_MS: '5000' } })
    const { cli, port, logsTimes, workspace } = served
    const useStore = (directory: string) =>
      changeConfig(served, ({ backends }) => Object.assign(backends?.['store'] ?? {}, { directory }))
    const statuses = async () => {
      const replies = await Promise.all(Array.from({ length: 6 }, () => send(port, pki, wrapRequest)))
      return [...new Set(replies.map(({ status }) => status))]
    }
    for (const name of ['keys-2', 'keys-3', 'keys-4']) await makeStore(workspace.path(name), [])
    await useStore('keys-2')
    cli.kill('SIGHUP')
    const [fault] = await logsTimes('reload_failed', 1)
    expect(fault).toMatchObject({ level: 'error', reason: 'TEST_FAULT', message: 'the second worker fails' })
    expect(await statuses()).toEqual([200])
    await useStore('keys-3')
    cli.kill('SIGHUP')
    expect((await logsTimes('reload_failed', 2))[1]).toMatchObject({ reason: 'WORKER_LOST' })
    expect(await statuses()).toEqual([200])
    await useStore('keys-4')
    // A worker that hangs in its last reload does nothing more.
    const [, hung = 0] = childrenOf(cli.process.pid ?? 0)
    process.kill(hung, 'SIGKILL')
    await logsTimes('worker_replaced', 1)
    cli.kill('SIGHUP')
    await logsTimes('reloaded', 1)
    expect(await statuses()).toEqual([404])
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0 })
  })

  it('that begin to serve during a reload use its configuration afterwards', async () => {
    const served = await serving({}, { program, environment: { PREPARE_MS: '30000' } })
    const { cli, port, logsTimes, workspace } = served
    await makeStore(workspace.path('keys-5'), [])
    await changeConfig(served, ({ backends }) => Object.assign(backends?.['store'] ?? {}, { directory: 'keys-5' }))
    cli.kill('SIGHUP')
    await until('the reload is under way', () => existsSync(workspace.path('keys-5.waiting')))
    const [, victim = 0] = childrenOf(cli.process.pid ?? 0)
    process.kill(victim, 'SIGKILL')
    await logsTimes('worker_replaced', 1)
    await workspace.write('keys-5.go', '')
    await logsTimes('reloaded', 1)
    const replies = await Promise.all(Array.from({ length: 6 }, () => send(port, pki, wrapRequest)))
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 404))
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0 })
  })

  it('that are restarted use the others’ configuration, whatever is on the disk', async () => {
    const served = await serving()
    const { cli, port, logsTimes, workspace } = served
    await workspace.write('server.pem', 'damaged')
    const [victim = 0] = childrenOf(cli.process.pid ?? 0)
    process.kill(victim, 'SIGKILL')
    await logsTimes('worker_replaced', 1)
    for (let visits = 0; visits < 4; visits += 1) expect((await visit(port)).status).toBe(200)
    expect((await logsTimes('reload_failed', 1))[0]).toMatchObject({ cause: 'file', reason: 'CONFIG_INVALID' })
  })

  it('finish running requests when the whole group is interrupted', async () => {
    const { cli, port, logs } = await serving({ limits: { deadlineMs: 30_000, drainMs: 30_000 } }, { detached: true })
    const open = await openRequest(port, pki)
    process.kill(-(cli.process.pid ?? 0), 'SIGINT')
    expect(await logs('draining')).toMatchObject({ workers: 2 })
    await setTimeout(300)
    expect(cli.running).toBe(true)
    open.finish()
    expect(await open.closed).toContain('HTTP/1.1 200 OK')
    expect(await cli.ended).toMatchObject({ code: 0, signal: null, stderr: '' })
  })

  it('end by themselves when the primary is killed, after the running requests', async () => {
    const { cli, port } = await serving({ limits: { deadlineMs: 30_000, drainMs: 30_000 } })
    const open = await openRequest(port, pki)
    const workers = childrenOf(cli.process.pid ?? 0)
    cli.kill('SIGKILL')
    await until('the idle worker has ended', () => workers.filter(isRunning).length === 1)
    open.finish()
    expect(await open.closed).toContain('HTTP/1.1 200 OK')
    await until('both have ended', () => workers.filter(isRunning).length === 0)
  })

  it('that cannot start end the gateway with one message', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { workers: 4 })
    removeLater(workspace)
    await workspace.write('passphrase', 'wrong')
    expectRefusal(
      await run(['serve', '--config', file]),
      /^ekm-gateway: the passphrase does not decrypt .*store\.json$/,
      78,
    )
  })

  it('all append whole lines to one file', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], { workers: 2, log: { level: 'info' } })
    removeLater(workspace)
    const cli = new Cli(['serve', '--config', file])
    const read = () => readFile(workspace.path('gateway.log'), 'utf8').catch(() => '')
    const port = Number(
      await until('listening', async () => /"event":"listening".*"port":(\d+)/.exec(await read())?.[1]),
    )
    const requests = load(port, 6)
    await until('many replies', () => requests.replies > 600)
    await requests.stop()
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stdout: '', stderr: '' })
    const lines = (await read())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { readonly event: string })
    expect(lines.filter(({ event }) => event === 'request')).toHaveLength(requests.replies)
  })
})

describe.concurrent('a gateway of one process', () => {
  it('reloads at SIGHUP and when a file changes, and keeps its configuration if the new one is wrong', async () => {
    const served = await serving({ workers: 1 })
    const { cli, port, logsTimes, workspace } = served
    expect(childrenOf(cli.process.pid ?? 0)).toEqual([])
    const agent = new Agent({ ...tlsOptions(pki), keepAlive: true, maxSockets: 1 })
    const status = async () => (await send(port, pki, { ...infoRequest, agent })).status
    expect(await status()).toBe(200)

    await workspace.write('server.key', pki.client.key)
    expect((await logsTimes('reload_failed', 1))[0]).toMatchObject({
      level: 'error',
      cause: 'file',
      message: expect.stringMatching(/gateway\.yaml:4: listen\.tls .*the key does not belong/) as string,
    })
    expect(await status()).toBe(200)
    const renewed = await issue({ commonName: 'localhost', usage: 'server', hosts: ['localhost'] }, pki.serverCa)
    await workspace.write('server.pem', renewed.certificate)
    await workspace.write('server.key', renewed.key)
    expect((await logsTimes('reloaded', 1))[0]).toMatchObject({ cause: 'file', changed: 'listen.tls' })

    await changeConfig(served, (yaml) => Object.assign(yaml, { pools: [] }))
    cli.kill('SIGHUP')
    await logsTimes('reload_failed', 2)
    expect(await status()).toBe(200)
    const clients = [{ subjectCommonNames: ['fabrikam'], caCertificates: ['client-ca.pem'] }]
    const pool = { name: 'contoso', pathPrefix: BASE, clients, backend: 'store', keys: 'all' }
    await changeConfig(served, (yaml) => Object.assign(yaml, { pools: [pool], reload: { watch: false } }))
    cli.kill('SIGHUP')
    await logsTimes('reloaded', 2)
    expect(await status()).toBe(401)
    agent.destroy()
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
  })

  it('loses no request to a storm of SIGHUPs', async () => {
    const { cli, port, logged } = await serving({ workers: 1 })
    const requests = load(port, 6)
    await until('some replies', () => requests.replies > 50)
    // Signals that come during a reload cause one more reload, however many they are.
    for (let count = 0; count < 50 || logged('reloaded').length <= 3; count += 1) {
      cli.kill('SIGHUP')
      await setTimeout(10)
    }
    await requests.stop()
    expect(requests.failures).toEqual([])
    expect((await visit(port, await makeClient(pki.clientCa))).status).toBe(200)
  })
})
