import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { lookOf } from './look.ts'
import { serveAdmin, type AdminServer } from '../../src/service/admin/server.ts'

const view = {
  status: async () => ({
    version: '0',
    ready: true,
    draining: false,
    requests: 0,
    connections: { allowed: 0, verified: 0, unverified: 0 },
    pools: [],
    backends: [],
  }),
  metrics: async () => '# nothing\n',
  look: async () => lookOf(),
}

let server: AdminServer
beforeAll(async () => {
  server = await serveAdmin({ host: '127.0.0.1', port: 0, hosts: ['ekm-gateway.monitoring.svc'] }, view)
})
afterAll(() => server.close())

/** Everything that the connection receives until it ends. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(server.port, '127.0.0.1', () => socket.write(bytes))
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
}
const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1])
const get = async (host: string, path = '/status') =>
  exchange(`GET ${path} HTTP/1.1\r\n${host}Connection: close\r\n\r\n`)

describe('the admin port’s check of the Host header', () => {
  const good = [
    '127.0.0.1',
    '10.1.2.3:9464',
    '[::1]',
    '[2001:db8::1]:9464',
    'localhost',
    'LocalHost:9464',
    'localhost.',
    'ekm-gateway.monitoring.svc:9464',
    'EKM-Gateway.Monitoring.svc.',
  ]
  it.each(good)('accepts %s: its own address or a name that it knows', async (host) => {
    expect(statusOf(await get(`Host: ${host}\r\n`))).toBe(200)
  })

  const bad = [
    'attacker.example',
    'attacker.example:9464',
    '127.0.0.1.attacker.example',
    'localhost.attacker.example',
    'xlocalhost',
    'svc',
    'monitoring.svc',
    'x.ekm-gateway.monitoring.svc',
    '127.0.0.1@attacker.example',
    '[::1].attacker.example',
    '',
  ]
  it.each(bad)('refuses %s, which a web page can point at the port', async (host) => {
    for (const path of ['/status', '/metrics', '/healthz', '/']) {
      const text = await get(`Host: ${host}\r\n`, path)
      expect(statusOf(text)).toBe(421)
      expect(text).toMatch(/an IP address, localhost, ekm-gateway\.monitoring\.svc or 127\.0\.0\.1/)
      expect(text).not.toContain('"ready"')
    }
  })

  it('refuses two Host headers, and HTTP/1.1 without one', async () => {
    expect(statusOf(await get('Host: localhost\r\nHost: attacker.example\r\n'))).toBe(400)
    expect(statusOf(await get(''))).toBe(400)
  })

  it.each(['/healthz', '/readyz'])('lets HAProxy check %s by HTTP/1.0 without a Host', async (path) => {
    expect(statusOf(await exchange(`GET ${path} HTTP/1.0\r\n\r\n`))).toBe(200)
    expect(statusOf(await exchange(`GET ${path} HTTP/1.0\r\nHost: attacker.example\r\n\r\n`))).toBe(421)
  })

  it('sends no header that lets another origin’s page read an answer', async () => {
    const text = await get('Host: localhost\r\nOrigin: https://attacker.example\r\n')
    expect(text).not.toMatch(/access-control/i)
  })
})

describe('the admin port, asked by another method,', () => {
  const paths = ['/', '/healthz', '/readyz', '/readyz?pool=none', '/status', '/metrics']
  const methods = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']
  const ask = (method: string, path: string) =>
    exchange(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)

  it.each(paths)('says for %s which ones there are', async (path) => {
    for (const method of methods) {
      const text = await ask(method, path)
      expect([method, statusOf(text)]).toEqual([method, 405])
      expect(text).toMatch(/^allow: GET, HEAD\r$/im)
    }
  })

  it.each(['GET', ...methods])('says that there is no such path: %s', async (method) => {
    const text = await ask(method, '/nothing')
    expect(statusOf(text)).toBe(404)
    expect(text).not.toMatch(/^allow:/im)
  })

  it.each(paths)('has the head of %s', async (path) => {
    const text = await ask('HEAD', path)
    expect(statusOf(text)).toBe(path.includes('none') ? 404 : 200)
    expect(text).toMatch(/\r\n\r\n$/)
  })
})

/** Holds connections open, and replaces those that the port closes. */
class Siege {
  readonly #sockets = new Set<Socket>()
  readonly #timers: NodeJS.Timeout[] = []
  #made = 0
  #over = false
  /** Resolves when `count` connections have been opened. */
  readonly laid: Promise<void>

  constructor(count: number, from: (index: number) => string, begin: (socket: Socket) => void) {
    this.laid = new Promise((resolve) => {
      const begun = (socket: Socket) => {
        begin(socket)
        this.#made += 1
        if (this.#made === count) resolve()
      }
      for (let index = 0; index < count; index += 1) this.#hold(from(index), begun)
    })
  }

  trickle(bytes: string, everyMs: number): this {
    const timer = setInterval(() => {
      for (const socket of this.#sockets) if (socket.writable) socket.write(bytes)
    }, everyMs)
    this.#timers.push(timer)
    return this
  }

  #hold(localAddress: string, begin: (socket: Socket) => void): void {
    if (this.#over) return
    const socket = connect({ port: server.port, host: '127.0.0.1', localAddress })
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('connect', () => begin(socket))
    socket.on('close', () => {
      this.#sockets.delete(socket)
      setTimeout(() => this.#hold(localAddress, begin), 200)
    })
  }

  end(): void {
    this.#over = true
    for (const timer of this.#timers) clearInterval(timer)
    for (const socket of this.#sockets) socket.destroy()
  }
}

describe('the admin port answers /healthz within a second', () => {
  let siege: Siege | undefined
  afterEach(() => siege?.end())

  const same = () => '127.0.0.1'
  const several = (index: number) => `127.0.0.${(index % 200) + 2}`
  const nothing = () => undefined
  const sieges: readonly (readonly [string, () => Siege])[] = [
    ['500 idle connections of one address', () => new Siege(500, same, nothing)],
    ['500 idle connections of 200 addresses', () => new Siege(500, several, nothing)],
    ['1000 idle connections of one address', () => new Siege(1000, same, nothing)],
    [
      '500 connections of slow headers',
      () => new Siege(500, same, (s) => s.write('GET /healthz HTTP/1.1\r\nX: ')).trickle('x', 250),
    ],
    [
      '500 connections of slow headers of 200 addresses',
      () => new Siege(500, several, (s) => s.write('GET / HTTP/1.1\r\nX: ')).trickle('x', 250),
    ],
    [
      '500 connections that were answered once and stay',
      () => new Siege(500, several, (s) => s.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n')),
    ],
  ]

  it.each(sieges)('with %s', async (_what, begin) => {
    siege = begin()
    await siege.laid
    const times: number[] = []
    // Closed connections are replaced after 200 ms.
    for (let probe = 0; probe < 6; probe += 1) {
      const start = performance.now()
      expect(await healthz()).toBe(200)
      times.push(performance.now() - start)
      await sleep(100)
    }
    expect(Math.max(...times)).toBeLessThan(1000)
  })

  it('after answers that nobody reads have had their time', async () => {
    const stuck = await serveAdmin({ host: '127.0.0.1', port: 0 }, { ...view, metrics: () => sleep(20_000, '') })
    const sockets = Array.from({ length: 256 }, () =>
      connect(stuck.port, '127.0.0.1', function (this: Socket) {
        this.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n')
      }).on('error', nothing),
    )
    await sleep(2500)
    expect(await healthz(stuck.port)).toBe(200)
    for (const socket of sockets) socket.destroy()
    await stuck.close()
  })

  it('while a connection that is being answered keeps its place', async () => {
    const slow = await serveAdmin({ host: '127.0.0.1', port: 0 }, { ...view, metrics: () => sleep(1000, '# late\n') })
    const reply = fetch(`http://127.0.0.1:${slow.port}/metrics`)
    await sleep(100)
    const sockets = Array.from({ length: 400 }, () => connect(slow.port, '127.0.0.1').on('error', nothing))
    expect(await (await reply).text()).toBe('# late\n')
    for (const socket of sockets) socket.destroy()
    await slow.close()
  })
})

const healthz = (port = server.port) =>
  new Promise<number>((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path: '/healthz', agent: false, timeout: 5000 })
    outgoing.on('response', (incoming) => {
      incoming.resume()
      resolve(incoming.statusCode ?? 0)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 5 s')))
    outgoing.on('error', reject)
    outgoing.end()
  })
