import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backends/index.ts'
import { FaultyAdapter } from '../support/faulty-adapter.ts'
import { aesKey, contosoPool, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, newAddress, openSocket, openSocketFrom } from '../support/https.ts'
import { issue, makePki, type Identity } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

const DEADLINE_MS = 4000
const VALUE = Buffer.from('a data key of thirty-two bytes !').toString('base64url')

let adapter: FaultyAdapter
let fixture: TestGateway
let other: Identity

beforeAll(async () => {
  const pki = await makePki()
  other = await issue({ commonName: 'another root', usage: 'authority' })
  const otherPool = {
    ...contosoPool('azureekm/other', 'all'),
    name: 'other',
    clients: [{ subjectCommonNames: ['other'], caCertificates: ['other-ca.pem'] }],
  }
  fixture = await startTestGateway(
    pki,
    [aesKey('aes-1')],
    {
      limits: { deadlineMs: DEADLINE_MS },
      pools: [contosoPool('azureekm/contoso', 'all'), otherPool],
      files: { 'other-ca.pem': other.certificate },
    },
    async (...backend) => {
      adapter = new FaultyAdapter(await openBackend(...backend))
      return adapter
    },
  )
})
afterAll(() => fixture.stop())

/** Sets the time of the backend's calls from here on. */
function takeTime(delayMs: number): void {
  adapter.fault = { delayMs }
  adapter.calls = []
}

const post = (path: string, members: object = {}, headers = '') => {
  const body = JSON.stringify({ request_context: CONTEXT, ...members })
  return (
    `POST /azureekm/${path}?${API} HTTP/1.1\r\nHost: x\r\n${headers}Content-Type: application/json\r\n` +
    `Content-Length: ${body.length}\r\n\r\n${body}`
  )
}

/** Complete requests by their outcome. The slow one is slow in the backend. */
const pieces = {
  slow: post('contoso/aes-1/wrapkey', { alg: 'A256KWP', value: VALUE }),
  info: post('contoso/info'),
  unknown: post('contoso/aes-1/sign'),
  /** The answer to this request closes the connection. */
  unauthorized: post('other/info'),
  connect: 'CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n',
  websocket: post('contoso/info', {}, 'Connection: Upgrade\r\nUpgrade: websocket\r\n'),
  h2c: post('contoso/info', {}, 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n'),
  continued: post('contoso/info', {}, 'Expect: 100-continue\r\n'),
  expecting: post('contoso/info', {}, 'Expect: magic\r\n'),
  garbage: 'nonsense\r\n\r\n',
  badLength: 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
} as const
type Piece = keyof typeof pieces
const names = Object.keys(pieces) as Piece[]

/** The status of each request by itself. */
const alone: Readonly<Record<Piece, number>> = {
  slow: 200,
  info: 200,
  unknown: 404,
  unauthorized: 401,
  connect: 405,
  websocket: 200,
  h2c: 200,
  continued: 200,
  expecting: 417,
  garbage: 400,
  badLength: 400,
}
/** No request after one of these is answered. */
const closing: ReadonlySet<Piece> = new Set<Piece>(
  names.filter((name) => !['slow', 'info', 'continued'].includes(name)),
)

const statusesIn = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status)).filter((status) => status !== 100)

/** Sends the pieces in one write from an address. Reads until the connection ends or every answer has come. */
async function converse(sent: readonly Piece[], localAddress: string): Promise<number[]> {
  const socket = await openSocketFrom(localAddress, fixture.port, fixture.pki)
  const last = sent.findIndex((name) => closing.has(name))
  let text = ''
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (last === -1 && statusesIn(text).length >= sent.length) resolve()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.write(sent.map((name) => pieces[name]).join(''))
  })
  socket.destroy()
  return statusesIn(text)
}

describe('pipelined requests, in every order,', () => {
  const orders = [
    ...names.flatMap((first) => names.map((second) => [first, second])),
    ...names.map((name): Piece[] => ['slow', 'slow', name, 'connect']),
    ...names.map((name): Piece[] => ['slow', 'info', 'continued', name, 'info']),
  ]
  /** The statuses of each conversation, by the client's address. */
  const conversations = new Map<string, { readonly title: string; readonly answered: readonly number[] }>()
  beforeAll(() => takeTime(40))

  it.concurrent.each(orders.map((order) => ({ order, title: order.join(', ') })))(
    '$title',
    async ({ order, title }) => {
      const address = newAddress()
      const answered = await converse(order, address)
      conversations.set(address, { title, answered })
      const last = order.findIndex((name) => closing.has(name))
      const expected = order.slice(0, last === -1 ? undefined : last + 1).map((name) => alone[name])
      // Bytes that are not HTTP only end the connection if they follow a request that is being answered.
      if (last > 0 && (order[last] === 'garbage' || order[last] === 'badLength')) expected.pop()
      expect(answered).toEqual(expected)
    },
  )

  it('are answered as the log says', async () => {
    await eventually(() => expect(fixture.gateway.requestsUnderWay).toBe(0))
    const records = await fixture.logged('request')
    expect(conversations.size).toBe(orders.length)
    for (const [address, { title, answered }] of conversations) {
      const statuses = records.filter((record) => record['remote_address'] === address).map(({ status }) => status)
      // 499 is only for requests whose answer nobody received.
      expect([title, statuses.filter((status) => status !== 499).sort()]).toEqual([title, [...answered].sort()])
    }
  })
})

describe('the record of a request whose answer nobody got', () => {
  const recordsAfter = async (marker: number) => {
    await sleep(50)
    const log = (await fixture.logText()).slice(marker)
    return log
      .split('\n')
      .filter((line) => line.includes('"event":"request"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  it('is 499 where the connection dies while a faster one waits behind a slower one', async () => {
    const marker = (await fixture.logText()).length
    takeTime(3000)
    const socket = await openSocket(fixture.port, fixture.pki)
    socket.on('error', () => undefined)
    socket.write(pieces.slow + pieces.info + pieces.slow + pieces.info)
    await eventually(() => expect(adapter.calls.filter((name) => name === 'wrap')).toHaveLength(2))
    await sleep(50)
    socket.destroy()
    await eventually(() => expect(fixture.gateway.requestsUnderWay).toBe(0))
    const records = await recordsAfter(marker)
    expect(records.map(({ status, reason }) => [status, reason])).toEqual(Array(4).fill([499, 'CANCELLED']))
    expect(adapter.lastSignal?.reason).toMatchObject({ code: 'CANCELLED' })
    expect(records.filter(({ operation }) => operation === 'info')).toHaveLength(2)
  })

  it('is 499 where an answer before it closes the connection', async () => {
    const marker = (await fixture.logText()).length
    takeTime(100)
    const socket = await openSocket(fixture.port, fixture.pki)
    socket.write(pieces.unauthorized + pieces.info + pieces.slow)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    await once(socket, 'close')
    expect(statusesIn(chunk.toString())).toEqual([401])
    expect((await recordsAfter(marker)).map(({ status }) => status).sort()).toEqual([401, 499, 499])
  })

  it('is 499 for a waiting CONNECT, and its connection’s end does no harm', async () => {
    const marker = (await fixture.logText()).length
    takeTime(3000)
    const socket = await openSocket(fixture.port, fixture.pki)
    socket.on('error', () => undefined)
    socket.write(pieces.slow + pieces.connect + 'x'.repeat(10_000))
    await eventually(() => expect(adapter.calls).toContain('wrap'))
    socket.destroy()
    await eventually(() => expect(fixture.gateway.requestsUnderWay).toBe(0))
    await eventually(async () => expect((await recordsAfter(marker)).map(({ status }) => status)).toEqual([499, 499]))
    await eventually(() =>
      expect(fixture.gateway.status().connections).toEqual({ allowed: 0, verified: 0, unverified: 0 }),
    )
  })
})

describe('the answer', () => {
  it('reaches a client that continues to send after a CONNECT', async () => {
    takeTime(50)
    for (let round = 0; round < 5; round += 1) {
      const socket = await openSocket(fixture.port, fixture.pki)
      let text = ''
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
      socket.on('error', () => undefined)
      socket.write(pieces.slow + pieces.connect)
      const more = setInterval(() => socket.writable && socket.write('x'.repeat(1000)), 1)
      await once(socket, 'close')
      clearInterval(more)
      expect(statusesIn(text)).toEqual([200, 405])
    }
  })

  it('of a request within its time is not lost to one that is never finished', async () => {
    takeTime(100)
    const socket = await openSocket(fixture.port, fixture.pki)
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.write(`${pieces.slow}POST /azureekm/contoso/in`)
    await eventually(() => expect(statusesIn(text)).toEqual([200]))
    socket.end()
    await once(socket, 'close')
  })
})
