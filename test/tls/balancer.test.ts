import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { startServing } from '../commands/serving.ts'
import { aesKey, editConfig, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, tlsOptions } from '../support/https.ts'
import { makePki, type Identity, type Pki } from '../support/pki.ts'
import { startHaproxy } from './support/haproxy.ts'
import { makeHeavyChain } from './support/heavy-chain.ts'

const V1 = Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n')
const V2 = Buffer.from(
  '0d0a0d0a000d0a515549540a' + '2121' + '0027' + '20010db8000000000000000000000007' + '0'.repeat(40) + '040000',
  'hex',
)
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a' + '2000' + '0000', 'hex')

let pki: Pki
let fixture: TestGateway | undefined
const sockets: (Socket | TLSSocket)[] = []

beforeAll(async () => {
  pki = await makePki()
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await fixture?.stop()
  fixture = undefined
})

async function start(proxyProtocol: readonly string[] | undefined, settings: Settings = {}) {
  const listen = { ...(proxyProtocol && { proxyProtocol }) }
  fixture = await startTestGateway(pki, [aesKey('aes-1')], { ...settings, listen })
  return fixture
}

async function open(port: number, localAddress = '127.0.0.1') {
  const socket = connectTcp({ host: '127.0.0.1', port, localAddress })
  socket.on('error', () => undefined)
  sockets.push(socket)
  await once(socket, 'connect')
  return socket
}

const payload = JSON.stringify({ request_context: CONTEXT })
const REQUEST = `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${payload.length}\r\n\r\n${payload}`

/** The status of a request over `raw`; `undefined` if the connection was closed. */
async function ask(raw: Socket, identity: Identity | null = pki.client): Promise<number | undefined> {
  const socket = connect({ ...tlsOptions(pki, identity), host: 'localhost', socket: raw })
  sockets.push(socket)
  socket.write(REQUEST)
  return new Promise((resolve) => {
    socket.once('data', (chunk: Buffer) => resolve(Number(chunk.toString().slice(9, 12))))
    for (const event of ['error', 'close']) socket.once(event, () => resolve(undefined))
  })
}

const addresses = async () => (await fixture?.logged('request'))?.map(({ remote_address }) => remote_address)
const failures = async () =>
  (await fixture?.logged('tls_handshake_failed'))?.map(({ reason, detail, remote_address }) => [
    reason,
    detail,
    remote_address,
  ])

describe('a gateway on ::', () => {
  it.each<[what: string, listed: readonly string[], header: string, address: string]>([
    ['calls an IPv4 client by its address', [], '', '127.0.0.1'],
    ['finds a balancer by its address', ['127.0.0.1'], 'PROXY TCP4 192.0.2.7 10.0.0.1 40000 443\r\n', '192.0.2.7'],
    ['finds a balancer by a mapped network', ['::ffff:127.0.0.0/104'], 'PROXY UNKNOWN\r\n', '127.0.0.1'],
    ['reads a mapped address', ['127.0.0.0/8'], 'PROXY TCP6 ::ffff:192.0.2.7 ::1 40000 443\r\n', '192.0.2.7'],
  ])('%s', async (_what, proxyProtocol, header, address) => {
    fixture = await startTestGateway(pki, [aesKey('aes-1')], { listen: { host: '::', proxyProtocol } })
    const raw = await open(fixture.port)
    raw.write(header)
    expect(await ask(raw)).toBe(200)
    expect(await addresses()).toEqual([address])
  })

  it('logs a failed handshake with that address, too', async () => {
    fixture = await startTestGateway(pki, [aesKey('aes-1')], { listen: { host: '::' } })
    const raw = await open(fixture.port)
    raw.write('GET / HTTP/1.1\r\n\r\n')
    await once(raw.resume(), 'close')
    expect(await failures()).toEqual([[expect.any(String), undefined, '127.0.0.1']])
  })
})

describe('a balancer whose network is listed', () => {
  it.each([
    ['version 1', V1, '192.0.2.7'],
    ['version 2', V2, '2001:db8::7'],
    ['version 2, for itself', LOCAL, '127.0.0.1'],
    ['version 1, of an unknown client', Buffer.from('PROXY UNKNOWN\r\n'), '127.0.0.1'],
  ])('passes its client’s address by %s', async (_what, header, address) => {
    const { port } = await start(['10.0.0.0/8', '127.0.0.0/8'])
    const raw = await open(port)
    raw.write(header)
    expect(await ask(raw)).toBe(200)
    expect(await addresses()).toEqual([address])
  })

  it.each([V1, V2])('may send its header byte by byte, and further data with the last byte', async (header) => {
    const { port } = await start(['127.0.0.1'])
    const raw = await open(port)
    for (const byte of header.subarray(0, -1)) {
      raw.write(Buffer.from([byte]))
      await setTimeout(1)
    }
    raw.cork()
    raw.write(header.subarray(-1))
    const asked = ask(raw)
    await setTimeout(20)
    raw.uncork()
    expect(await asked).toBe(200)
  })

  it('has to send the header before the hello', async () => {
    const { port } = await start(['127.0.0.1'])
    expect(await ask(await open(port))).toBeUndefined()
    expect(await failures()).toEqual([['PROXY_HEADER_MISSING', 'a TLS record', '127.0.0.1']])
  })

  it('has to send a valid header', async () => {
    const { port } = await start(['127.0.0.1'])
    const raw = await open(port)
    raw.write('PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n')
    await once(raw.resume(), 'close')
    const problem = expect.stringContaining('version 1') as string
    expect(await failures()).toEqual([['PROXY_HEADER_MALFORMED', problem, '127.0.0.1']])
  })

  it('has to send the header within the time of the handshake', async () => {
    const { port } = await start(['127.0.0.1'], { limits: { handshakeMs: 300 } })
    const raw = await open(port)
    raw.write(V1.subarray(0, 20))
    await once(raw.resume(), 'close')
    expect(await failures()).toEqual([])
  })

  it('may send only a header, or nothing, as a health check', async () => {
    const { port } = await start(['127.0.0.1'])
    for (const header of ['', LOCAL]) {
      const raw = await open(port)
      raw.write(header)
      await setTimeout(50)
      raw.resetAndDestroy()
    }
    await setTimeout(50)
    expect(await failures()).toEqual([])
  })

  it('delays no client for another one’s cost', async () => {
    const { port } = await start(['127.0.0.1'], { limits: { handshakeMs: 2000 } })
    const heavy = await makeHeavyChain()
    const through = async (address: string, identity: Identity | null) => {
      const raw = await open(port)
      raw.write(`PROXY TCP4 ${address} 10.0.0.1 40000 443\r\n`)
      return ask(raw, identity)
    }
    const costly = [through('192.0.2.7', heavy), through('192.0.2.7', heavy)]
    expect(await Promise.all(costly)).toEqual([401, 401])
    await setTimeout(100)
    const asked = through('192.0.2.7', null)
    expect(await through('192.0.2.8', pki.client)).toBe(200)
    expect(await asked).toBeUndefined()
  })
})

describe('a connection from outside the listed networks', () => {
  it('is served without a header', async () => {
    const { port } = await start(['10.0.0.0/8', 'fd00::/8'])
    expect(await ask(await open(port))).toBe(200)
    expect(await addresses()).toEqual(['127.0.0.1'])
  })

  it.each([
    ['version 1', V1, 'a PROXY header of version 1'],
    ['version 2', V2, 'a PROXY header of version 2'],
  ])('is refused with a header of %s', async (_what, header, came) => {
    const { port } = await start(['10.0.0.0/8'])
    const raw = await open(port)
    for (const byte of header) raw.write(Buffer.from([byte]))
    expect(await ask(raw)).toBeUndefined()
    expect(await failures()).toEqual([['PROXY_HEADER_UNEXPECTED', came, '127.0.0.1']])
  })

  it('that sends a PROXY header is logged from the second time on, even if no network is listed', async () => {
    const { port } = await start(undefined)
    for (let count = 0; count < 2; count += 1) {
      const raw = await open(port)
      raw.write(V2)
      expect(await ask(raw)).toBeUndefined()
    }
    expect(await failures()).toEqual([
      ['ERR_SSL_WRONG_VERSION_NUMBER', undefined, '127.0.0.1'],
      ['PROXY_HEADER_UNEXPECTED', 'a PROXY header of version 2', '127.0.0.1'],
    ])
    expect(await ask(await open(port))).toBe(200)
  })
})

it('a reload changes which networks are listed', async () => {
  const { port, gateway, workspace } = await start(['127.0.0.1'])
  const file = await editConfig<{ listen: { proxyProtocol: string[] } }>(workspace, ({ listen }) => {
    listen.proxyProtocol = ['10.0.0.1']
  })
  const prepared = await gateway.prepare(loadConfig(file, {}))
  expect(prepared.changed).toEqual(['listen.proxyProtocol'])
  prepared.commit()
  expect(await ask(await open(port))).toBe(200)
})

describe('HAProxy', () => {
  it.each([
    ['send-proxy', 1],
    ['send-proxy-v2', 1],
    ['send-proxy-v2', 2],
  ])(
    'with %s passes its clients’ addresses, and its checks are not logged, with workers: %i',
    async (sending, workers) => {
      const serving = await startServing(pki, [aesKey('aes-1')], {
        workers,
        listen: { proxyProtocol: ['127.0.0.0/8'] },
      })
      try {
        await using haproxy = await startHaproxy({ port: serving.port, sending })
        for (const address of ['127.0.0.5', '127.0.0.6']) expect(await ask(await open(haproxy.port, address))).toBe(200)
        const addresses = () => serving.logged('request').map(({ remote_address }) => remote_address)
        await expect.poll(addresses).toEqual(['127.0.0.5', '127.0.0.6'])
        // HAProxy checks ten times a second.
        await setTimeout(500)
        expect([...serving.logged('tls_handshake_failed'), ...serving.logged('connections_shed')]).toEqual([])
      } finally {
        await serving.remove()
      }
    },
  )
})
