import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { aesKey, contosoPool, startTestGateway, type Settings, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, send, tlsOptions } from '../support/https.ts'
import { CLIENT_CN, makeClient, makePki, type Identity, type Pki } from '../support/pki.ts'
import { makeHeavyChain } from './support/heavy-chain.ts'
import { floodWithKeyUpdates } from './support/key-updates.mjs'

let pki: Pki
let heavy: Identity
/** A client of a pool's CA whose name no pool lists. */
let nobody: Identity
let fixture: TestGateway | undefined
const sockets: TLSSocket[] = []

beforeAll(async () => {
  pki = await makePki()
  heavy = await makeHeavyChain()
  nobody = await makeClient(pki.clientCa, { commonName: 'nobody' })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await fixture?.stop()
  fixture = undefined
})

async function start(limits: NonNullable<Settings['limits']> = {}) {
  const pool = contosoPool('azureekm/contoso', 'all')
  const clients = [{ subjectCommonNames: [CLIENT_CN, 'fabrikam'], caCertificates: ['client-ca.pem'] }]
  fixture = await startTestGateway(pki, [aesKey('aes-1')], { limits, pools: [{ ...pool, clients }] })
  return fixture
}

const optionsFor = (port: number, identity: Identity | null, localAddress: string) => ({
  ...tlsOptions(pki, identity),
  host: '127.0.0.1',
  port,
  localAddress,
})

async function open(port: number, identity: Identity | null = pki.client, localAddress = '127.0.0.1') {
  const socket = connect(optionsFor(port, identity, localAddress))
  socket.on('error', () => undefined)
  sockets.push(socket)
  await once(socket, 'secureConnect')
  return socket
}

const isOpen = (socket: TLSSocket) => !socket.resume().destroyed

describe('the cost of an unverified connection', () => {
  /** The duration of a connection in milliseconds; `undefined` if it was closed. */
  async function handshake(port: number, identity: Identity | null, localAddress: string) {
    const start = performance.now()
    const socket = connect(optionsFor(port, identity, localAddress))
    sockets.push(socket)
    return new Promise<number | undefined>((resolve) => {
      socket.once('secureConnect', () => resolve(performance.now() - start))
      socket.once('error', () => resolve(undefined))
      socket.once('close', () => resolve(undefined))
    })
  }

  /** Sends a handshake with a heavy chain, except the end of its last message. */
  async function withholdFinished(port: number, localAddress: string) {
    const raw = connectTcp({ host: '127.0.0.1', port, localAddress })
    raw.on('error', () => undefined)
    const written: Buffer[] = []
    const socket = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        written.push(chunk)
        done()
      },
    })
    raw.on('data', (chunk) => socket.push(chunk))
    sockets.push(connect({ ...tlsOptions(pki, heavy), host: 'localhost', socket }))
    await once(raw, 'connect')
    for (const lastBytes of [0, 20]) {
      await expect.poll(() => written.length).toBeGreaterThan(0)
      // All parts of the flight.
      await setTimeout(200)
      const bytes = Buffer.concat(written.splice(0))
      raw.write(bytes.subarray(0, bytes.length - lastBytes))
    }
    await setTimeout(400)
  }

  it('is paid by its network: a heavy chain delays the next connection, and nobody else', async () => {
    const { port } = await start({ handshakeMs: 4000 })
    // Two of them cost more than the credit on any machine.
    await Promise.all([handshake(port, heavy, '127.0.0.2'), handshake(port, heavy, '127.0.0.2')])
    await setTimeout(100)
    const [again, other, client] = await Promise.all([
      handshake(port, null, '127.0.0.2'),
      handshake(port, null, '127.0.0.3'),
      handshake(port, pki.client, '127.0.0.1'),
    ])
    expect(again).toBeUndefined()
    // A handshake that had to wait for its network would not be in time.
    expect([other, client]).not.toContain(undefined)
  })

  it('is paid even if its handshake never ends', async () => {
    const { port } = await start({ handshakeMs: 4000 })
    await Promise.all([withholdFinished(port, '127.0.0.2'), withholdFinished(port, '127.0.0.2')])
    expect(await Promise.race([handshake(port, null, '127.0.0.2'), setTimeout(500, 'waits')])).toBe('waits')
    expect(await handshake(port, null, '127.0.0.3')).toBeDefined()
  })

  it('is limited in bytes: a flood of key updates is cut', async () => {
    // On a busy machine the flood takes seconds, and nothing else may end its connection.
    const { port, gateway } = await start({ handshakeMs: 60_000, headerMs: 60_000 })
    const flood = floodWithKeyUpdates({ host: '127.0.0.1', port, localAddress: '127.0.0.2' }, 8000)
    await new Promise((resolve) => void flood.once('close', resolve))
    const shed = (await gateway.metrics.snapshot()).find(({ name }) => name === 'ekm_connections_shed_total')
    expect(shed?.series.get('ekm_connections_shed_total{reason="too_many_bytes"}')).toEqual([1])
    await setTimeout(100)
    expect(await Promise.race([handshake(port, null, '127.0.0.2'), setTimeout(500, 'waits')])).toBe('waits')
  })

  it('is limited beforehand: a network keeps four connections that had their answer, or ask nothing', async () => {
    const { port } = await start()
    const other = await open(port, null, '127.0.0.3')
    const asking = await open(port, null, '127.0.0.2')
    asking.write(`GET / HTTP/1.1\r\nHost: x\r\n`)
    const idle: TLSSocket[] = []
    for (let count = 0; count < 8; count += 1) idle.push(await open(port, count % 2 ? null : nobody, '127.0.0.2'))
    await expect
      .poll(() => idle.map(isOpen))
      .toEqual([...Array<boolean>(4).fill(false), ...Array<boolean>(4).fill(true)])
    expect([other, asking].map(isOpen)).toEqual([true, false])
  })

  it('is limited beforehand for all networks together, too', async () => {
    const { port } = await start()
    const idle: TLSSocket[] = []
    for (let count = 0; count < 12; count += 1) idle.push(await open(port, null, `127.0.0.${count + 2}`))
    await expect
      .poll(() => idle.map(isOpen))
      .toEqual([...Array<boolean>(4).fill(false), ...Array<boolean>(8).fill(true)])
  })

  it.each([
    ['no certificate', () => null],
    ['a certificate that no pool allows', () => nobody],
  ])('is one answer at most, whatever it sends behind its request, with %s', async (_what, identity) => {
    const { port, ...gateway } = await start()
    const socket = await open(port, identity(), '127.0.0.2')
    const replies: Buffer[] = []
    socket.on('data', (chunk: Buffer) => replies.push(chunk))
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2000))
    await once(socket, 'close')
    expect(
      Buffer.concat(replies)
        .toString()
        .match(/^HTTP\/1\.1 \d+ |^connection: \w+/gim),
    ).toEqual(['HTTP/1.1 401 ', 'connection: close'])
    expect(await gateway.logged('request')).toHaveLength(1)
  })

  it('leaves room for the largest body: its sender gets 401', async () => {
    const { port } = await start()
    const path = `/azureekm/contoso/info?${API}`
    const body = { request_context: CONTEXT, filler: 'x'.repeat(64_000) }
    for (let count = 0; count < 5; count += 1) {
      expect(await send(port, pki, { path, body }, null)).toMatchObject({ status: 401, json: { code: 'Unauthorized' } })
    }
    const socket = await open(port, null)
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nX-Filler: ${'x'.repeat(15_000)}\r\nContent-Length: 2\r\n\r\n{}`)
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    expect(chunk.toString()).toMatch(/^HTTP\/1\.1 401 /)
  })
})

describe('the connections of allowed clients', () => {
  it('are shared: the name with most connections loses idle ones', async () => {
    const { port, gateway } = await start({ maxConnections: 4, deadlineMs: 3000 })
    const second = await makeClient(pki.clientCa, { commonName: 'fabrikam' })
    // Another certificate with the same name is the same client.
    const renewed = await makeClient(pki.clientCa)
    const greedy: TLSSocket[] = []
    for (let count = 0; count < 4; count += 1) greedy.push(await open(port, count % 2 === 0 ? pki.client : renewed))
    // The connection is in the middle of a request.
    const head = `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n`
    greedy[0]?.write(head)
    await expect.poll(() => gateway.requestsUnderWay).toBe(1)
    const others = [await open(port, second), await open(port, second)]
    await expect.poll(() => greedy.map(isOpen)).toEqual([true, false, false, true])
    expect(others.map(isOpen)).toEqual([true, true])
    const refused = await open(port, second)
    await expect.poll(() => isOpen(refused)).toBe(false)
    expect(gateway.status().connections).toEqual({ allowed: 4, verified: 0, unverified: 0 })
  })

  it('are not used up by strangers', async () => {
    const { port, gateway } = await start({ maxConnections: 2, maxUnverifiedConnections: 4 })
    for (let count = 0; count < 12; count += 1) await open(port, null, '127.0.0.2')
    const clients = [await open(port), await open(port)]
    await setTimeout(50)
    expect(clients.map(isOpen)).toEqual([true, true])
    expect(gateway.status().connections.allowed).toBe(2)
  })
})
