import { once } from 'node:events'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startHaproxy } from '../tls/support/haproxy.ts'
import { aesKey, startTestGateway, writeGatewayFiles } from '../support/gateway.ts'
import { API, CONTEXT, makeAgent, openSocket, send } from '../support/https.ts'
import { makePki, type Pki } from '../support/pki.ts'
import { Cli, until } from './cli.ts'
import { BASE, listeningPort, startServing, takePort } from './serving.ts'

const PER_SECOND = 1000
const TICK_MS = 5

let pki: Pki
beforeAll(async () => {
  pki = await makePki()
})
const left: { remove(): Promise<void> }[] = []
afterAll(async () => {
  for (const resource of left) await resource.remove()
})

const info = { path: `${BASE}/info?${API}`, body: { request_context: CONTEXT } }
const wrap = {
  path: `${BASE}/aes-1/wrapkey?${API}`,
  body: { request_context: CONTEXT, alg: 'A256KW', value: 'A'.repeat(43) },
}
const statusOf = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).status

/** Requests that are due one after the other, whether or not those before them are answered. */
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
      const { status } = await send(this.#port, pki, { ...wrap, agent: this.#agent })
      if (status === 200) this.right += 1
      else this.failures.push(String(status))
    } catch (error) {
      this.failures.push(String(error))
    }
  }
}

/** A gateway that always has the same ports. */
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
    left.push({ remove: async () => this.#cli.kill() })
  }

  static async start(workers: number): Promise<Replica> {
    const [main, admin] = [await takePort(), await takePort()]
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('aes-1')], {
      workers,
      listen: { port: main.port },
      admin: { port: admin.port },
      limits: { deadlineMs: 30_000, drainDelayMs: 800 },
      log: { destination: 'stdout', level: 'info' },
    })
    left.push(workspace)
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
  'from SIGTERM on it is not ready, and serves on until the delay is over: %i workers',
  async (workers) => {
    const serving = await startServing(pki, [aesKey('aes-1')], {
      workers,
      admin: { port: 0 },
      limits: { deadlineMs: 30_000, drainDelayMs: 60_000 },
    })
    left.push(serving)
    const { cli, port, logs, logged } = serving
    const admin = Number((await logs('admin_listening'))['port'])
    const agents = Array.from({ length: 4 }, () => makeAgent(pki))
    for (const agent of agents) expect((await send(port, pki, { ...info, agent })).headers.connection).not.toBe('close')
    cli.kill('SIGTERM')
    await logs('draining')
    expect(await statusOf(admin, '/readyz')).toBe(503)
    expect(await statusOf(admin, '/readyz?pool=contoso')).toBe(503)
    // On connections of before, and on new ones.
    for (const agent of [...agents, ...agents]) {
      const reply = await send(port, pki, { ...info, agent })
      expect([reply.status, reply.headers.connection]).toEqual([200, 'close'])
      expect(Object.values(agent.freeSockets).flat()).toEqual([])
    }
    cli.kill('SIGTERM')
    expect(await cli.ended).toMatchObject({ code: 0, stderr: '' })
    expect(logged('stopped')).toMatchObject([{ requests_cut_off: 0 }])
    for (const agent of agents) agent.destroy()
  },
)

it('SIGINT, which comes from a person, waits for no balancer', async () => {
  const serving = await startServing(pki, [aesKey('aes-1')], { limits: { drainDelayMs: 60_000 } })
  left.push(serving)
  serving.cli.kill('SIGINT')
  expect(await serving.cli.ended).toMatchObject({ code: 0, stderr: '' })
})

it('a request that is on its way when the gateway ends is answered, and so are those behind it', async () => {
  const fixture = await startTestGateway(pki, [aesKey('aes-1')])
  const socket = await openSocket(fixture.port, pki)
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  const payload = JSON.stringify(info.body)
  const head = `POST ${info.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${payload.length}\r\n\r\n`
  const stopped = fixture.stop()
  socket.write((head + payload).repeat(3))
  await Promise.all([once(socket, 'close'), stopped])
  expect(text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3)
  expect(text.match(/^connection: close/gim)).toHaveLength(1)
})

it('a connection on which nothing is asked is told that it ends', async () => {
  const fixture = await startTestGateway(pki, [aesKey('aes-1')])
  const socket = await openSocket(fixture.port, pki)
  const ended = once(socket.resume(), 'end')
  await Promise.all([ended, fixture.stop()])
})
