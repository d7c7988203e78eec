import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { beforeAll, expect, it } from 'vitest'
import { makeRequest } from '../bench/request.ts'
import { startHaproxy } from '../tls/support/haproxy.ts'
import { makeList } from '../support/crl.ts'
import { aesKey, contosoPool, startTestGateway, writeGatewayFiles } from '../support/gateway.ts'
import { makeAgent, openSocket, send, tlsOptions } from '../support/https.ts'
import { CLIENT_CN, makePki, type Pki } from '../support/pki.ts'
import { leftovers } from '../support/leftovers.ts'
import { Cli, until } from './cli.ts'
import { BASE, infoRequest, listeningPort, startServing, takePort, wrapRequest } from './serving.ts'

const PER_SECOND = 1000
const TICK_MS = 5

let pki: Pki
beforeAll(async () => {
  pki = await makePki()
})
const removeLater = leftovers()

const statusOf = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status

/** Requests at a fixed rate, whether or not earlier ones are answered. */
class Load {
  readonly failures: string[] = []
  right = 0
  readonly #underWay = new Set<Promise<void>>()
  readonly #agent = makeAgent(pki)
  readonly #port: number
  readonly #start = performance.now()
  readonly #timer = setInterval(() => this.#sendDue(), TICK_MS)
  #sent = 0

  constructor(port: number) {
    this.#port = port
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    this.#agent.destroy()
  }

  #sendDue(): void {
    for (; this.#start + (this.#sent * 1000) / PER_SECOND <= performance.now(); this.#sent += 1) {
      const exchange = this.#exchange().finally(() => this.#underWay.delete(exchange))
      this.#underWay.add(exchange)
    }
  }

  async #exchange(): Promise<void> {
    try {
      const { status } = await send(this.#port, pki, { ...wrapRequest, agent: this.#agent })
      if (status === 200) this.right += 1
      else this.failures.push(String(status))
    } catch (error) {
      this.failures.push(String(error))
    }
  }
}

/** A gateway whose ports stay the same over restarts. */
class Replica {
  readonly port: number
  readonly adminPort: number
  readonly #file: string
  #cli: Cli

  private constructor(port: number, adminPort: number, file: string) {
    this.port = port
    this.adminPort = adminPort
    this.#file = file
    this.#cli = this.#serve()
    removeLater({ remove: async () => this.#cli.kill() })
  }

  static async start(workers: number): Promise<Replica> {
    const [main, admin] = [await takePort(), await takePort()]
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], {
      workers,
      listen: { port: main.port },
      admin: { port: admin.port },
      limits: { deadlineMs: 30_000, drainDelayMs: 2000 },
      log: { destination: 'stdout', level: 'info' },
    })
    removeLater(workspace)
    for (const { release } of [main, admin]) await release()
    const replica = new Replica(main.port, admin.port, file)
    await listeningPort(replica.#cli)
    return replica
  }

  async restart(): Promise<void> {
    this.#cli.kill('SIGTERM')
    expect(await this.#cli.ended).toMatchObject({ code: 0, stderr: '' })
    this.#cli = this.#serve()
    await listeningPort(this.#cli)
  }

  #serve(): Cli {
    return new Cli(['serve', '--config', this.#file])
  }
}

it(
  `two gateways behind HAProxy that are restarted in turn lose none of ${PER_SECOND} requests a second`,
  { timeout: 60_000 },
  async () => {
    const replicas = await Promise.all([Replica.start(1), Replica.start(2)])
    await using haproxy = await startHaproxy(...replicas)
    const areUp = () => Promise.all(replicas.map(async ({ port }) => (await haproxy.health(port)) === 'UP L7OK'))
    const allUp = () => until('both are up', async () => (await areUp()).every(Boolean), 20_000)
    await allUp()
    const load = new Load(haproxy.port)
    await until('some replies', () => load.right > 200)
    for (const replica of replicas) {
      await replica.restart()
      await allUp()
    }
    await load.stop()
    expect(load.failures).toEqual([])
    expect(load.right).toBeGreaterThan(PER_SECOND)
  },
)

it.each([1, 2])(
  'a gateway is not ready from SIGTERM on, and serves on until the delay is over: %i workers',
  async (workers) => {
    const serving = await startServing(pki, [aesKey('aes-1')], {
      workers,
      admin: { port: 0 },
      limits: { deadlineMs: 30_000, drainDelayMs: 60_000 },
    })
    removeLater(serving)
    const { cli, port, logs, logged } = serving
    const admin = Number((await logs('admin_listening'))['port'])
    const agents = Array.from({ length: 4 }, () => makeAgent(pki))
    for (const agent of agents)
      expect((await send(port, pki, { ...infoRequest, agent })).headers.connection).not.toBe('close')
    cli.kill('SIGTERM')
    await logs('draining')
    expect(await statusOf(admin, '/readyz')).toBe(503)
    expect(await statusOf(admin, '/readyz?pool=contoso')).toBe(503)
    // Requests come on earlier connections and on new ones.
    for (const agent of [...agents, ...agents]) {
      const reply = await send(port, pki, { ...infoRequest, agent })
      expect([reply.status, reply.headers.connection]).toEqual([200, 'close'])
      expect(Object.values(agent.freeSockets).flat()).toEqual([])
    }
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    expect(logged('stopped')).toMatchObject([{ requests_cut_off: 0 }])
    for (const agent of agents) agent.destroy()
  },
)

it.each([1, 2])(
  'a client that is revoked while the gateway serves on after SIGTERM is refused: %i workers',
  { timeout: 60_000 },
  async (workers) => {
    const clients = [
      { subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'], revocation: { lists: ['crl.pem'] } },
    ]
    const serving = await startServing(pki, [aesKey('aes-1')], {
      workers,
      files: { 'crl.pem': await makeList(pki.clientCa) },
      pools: [{ ...contosoPool('azureekm/contoso', 'all'), clients }],
      limits: { deadlineMs: 30_000, drainDelayMs: 60_000 },
    })
    removeLater(serving)
    const { cli, port, logs, logged, workspace } = serving
    const agent = makeAgent(pki)
    const statuses = async () => {
      const replies = [await send(port, pki, infoRequest), await send(port, pki, { ...infoRequest, agent })]
      return replies.map(({ status, headers }) => [status, headers.connection])
    }
    cli.kill('SIGTERM')
    await logs('draining')
    expect(await statuses()).toEqual(Array(2).fill([200, 'close']))
    await workspace.write('crl.pem', await makeList(pki.clientCa, { revoked: [pki.client] }))
    expect(await logs('reloaded')).toMatchObject({ cause: 'file' })
    for (let times = 0; times < workers; times += 1) expect(await statuses()).toEqual(Array(2).fill([401, 'close']))
    cli.kill('SIGHUP')
    await serving.logsTimes('reloaded', 2)
    expect(await statuses()).toEqual(Array(2).fill([401, 'close']))
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    expect(logged('stopped')).toMatchObject([{ requests_cut_off: 0 }])
    agent.destroy()
  },
)

it('a gateway that is interrupted by SIGINT waits for no balancer', async () => {
  const serving = await startServing(pki, [aesKey('aes-1')], { limits: { drainDelayMs: 60_000 } })
  removeLater(serving)
  serving.cli.kill('SIGINT')
  expect(await serving.cli.ended).toMatchObject({ code: 0, stderr: '' })
})

it('a gateway that ends answers a request on its way, and those behind it', async () => {
  const fixture = await startTestGateway(pki, [aesKey('aes-1')])
  const socket = await openSocket(fixture.port, pki)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  const payload = JSON.stringify(infoRequest.body)
  const head = `POST ${infoRequest.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${payload.length}\r\n\r\n`
  const stopped = fixture.stop()
  socket.write((head + payload).repeat(3))
  await Promise.all([once(socket, 'close'), stopped])
  expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3)
  expect(text.match(/^connection: close/gim)).toHaveLength(1)
})

it('a gateway that ends answers a client whose connection it has not taken yet', async () => {
  const fixture = await startTestGateway(pki, [aesKey('aes-1')])
  const isConnected = new Int32Array(new SharedArrayBuffer(4))
  const request = makeRequest(`${BASE.slice(1)}/info`).toString()
  const client = new Worker(new URL('late-client.mjs', import.meta.url), {
    workerData: { port: fixture.port, tls: tlsOptions(pki), request, isConnected },
  })
  const answered = once(client, 'message')
  // The gateway shares this thread and accepts no connection meanwhile. The kernel does.
  expect(Atomics.wait(isConnected, 0, 0, 15_000)).not.toBe('timed-out')
  const stopped = fixture.stop()
  expect(await answered).toEqual(['HTTP/1.1 200 OK'])
  await Promise.all([stopped, client.terminate()])
})

it('a gateway that ends tells an idle connection so', async () => {
  const fixture = await startTestGateway(pki, [aesKey('aes-1')])
  const socket = await openSocket(fixture.port, pki)
  const ended = once(socket.resume(), 'end')
  await Promise.all([ended, fixture.stop()])
})
