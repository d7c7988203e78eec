import { randomBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Credentials } from '../../src/settings/credentials.ts'
import { openLog, type Log } from '../../src/telemetry/log.ts'
import type { ClientAuth } from '../../src/tls/endpoint.ts'
import { Listener } from '../../src/tls/listener.ts'
import { Trust } from '../../src/tls/trust.ts'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, openSocket, tlsOptions } from '../support/https.ts'
import {
  CLIENT_CN,
  issue,
  makeClient,
  makeClientBehindIntermediate,
  makePki,
  type Identity,
  type Pki,
} from '../support/pki.ts'

let pki: Pki
let fixture: TestGateway

beforeAll(async () => {
  pki = await makePki()
  fixture = await startTestGateway(pki, [aesKey('aes-1')])
})

afterAll(() => fixture.stop())

const payload = JSON.stringify({ request_context: CONTEXT })

async function info(socket: TLSSocket): Promise<string> {
  socket.write(
    `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${payload.length}\r\n\r\n${payload}`,
  )
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  return chunk.toString()
}

describe('the TLS handshake', () => {
  it.each(['X25519', 'P-256', 'P-384'])('exchanges keys with %s', async (ecdhCurve) => {
    const socket = await openSocket(fixture.port, pki, { ecdhCurve })
    expect(socket.getProtocol()).toBe('TLSv1.3')
    socket.destroy()
  })

  it.each(['P-521', 'ffdhe2048', 'ffdhe8192'])(
    'exchanges no keys with %s, which would cost it more than the client',
    async (ecdhCurve) => {
      await expect(openSocket(fixture.port, pki, { ecdhCurve })).rejects.toMatchObject({
        code: expect.stringMatching(/HANDSHAKE_FAILURE/) as string,
      })
    },
  )

  it.each(['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'])('accepts TLS 1.3 with %s', async (ciphers) => {
    const socket = await openSocket(fixture.port, pki, { ciphers })
    expect([socket.getProtocol(), socket.getCipher().name]).toEqual(['TLSv1.3', ciphers])
    expect(await info(socket)).toMatch(/^HTTP\/1\.1 200 /)
    socket.destroy()
  })

  const refused: readonly (readonly [string, ConnectionOptions, string])[] = [
    ['TLS 1.2', { maxVersion: 'TLSv1.2' }, 'ERR_SSL_UNSUPPORTED_PROTOCOL'],
    ['the third suite of TLS 1.3', { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' }, 'ERR_SSL_NO_SHARED_CIPHER'],
    ['HTTP/2 alone', { ALPNProtocols: ['h2'] }, 'ERR_SSL_NO_APPLICATION_PROTOCOL'],
  ]
  it.each(refused)('does not accept %s, and logs that once', async (_what, options, reason) => {
    const before = (await fixture.logged('tls_handshake_failed')).length
    await expect(openSocket(fixture.port, pki, options)).rejects.toThrow()
    const failures = (await fixture.logged('tls_handshake_failed')).slice(before)
    expect(failures).toEqual([expect.objectContaining({ reason, remote_address: '127.0.0.1' })])
  })

  it('logs nothing of a connection that sends nothing, as a health probe does', async () => {
    const before = (await fixture.logged('tls_handshake_failed')).length
    const probe = connectTcp(fixture.port, '127.0.0.1')
    await once(probe, 'connect')
    await setTimeout(50)
    probe.destroy()
    const halfway = connectTcp(fixture.port, '127.0.0.1')
    await once(halfway, 'connect')
    halfway.write(Buffer.from([22, 3, 1, 0, 200, 1]))
    await setTimeout(50)
    halfway.destroy()
    // The second connection gets a log line, so that the first one has had its time.
    const told = async () => (await fixture.logged('tls_handshake_failed')).slice(before).map(({ reason }) => reason)
    await expect.poll(told).toEqual(['ECONNRESET'])
  })

  it('offers HTTP/1.1 by ALPN', async () => {
    const socket = await openSocket(fixture.port, pki, { ALPNProtocols: ['h2', 'http/1.1'] })
    expect(socket.alpnProtocol).toBe('http/1.1')
    socket.destroy()
  })
})

describe('an idle connection', () => {
  it('outlives the heartbeat that Node.js would cut off', async () => {
    const socket = await openSocket(fixture.port, pki)
    expect(await info(socket)).toMatch(/^HTTP\/1\.1 200 /)
    await setTimeout(7000)
    expect(await info(socket)).toMatch(/^HTTP\/1\.1 200 /)
    expect(fixture.gateway.port).toBe(socket.remotePort)
    socket.destroy()
  })
})

describe('listeners that share their ticket keys', () => {
  const closers: (() => Promise<void>)[] = []
  let log: Log
  afterEach(async () => {
    for (const close of closers.splice(0)) await close()
  })

  const start = (ticketKeys: Buffer, ...rootSets: readonly X509Certificate[][]) =>
    startFor('required', ticketKeys, ...rootSets)

  async function startFor(clientAuth: ClientAuth, ticketKeys: Buffer, ...rootSets: readonly X509Certificate[][]) {
    log = await openLog({ level: 'error', destination: fixture.workspace.path('listener.log') })
    const fixed = { host: '127.0.0.1', port: 0, clientAuth, log } as const
    const listener = new Listener(fixed, {
      credentials: new Credentials({ cert: Buffer.from(pki.server.certificate), key: Buffer.from(pki.server.key) }),
      trust: new Trust(rootSets.map((roots) => ({ commonNames: [CLIENT_CN], roots, intermediates: [] }))),
      idleConnectionMs: 1000,
      headerMs: 1000,
      handshakeMs: 1000,
      maxConnections: 100,
      maxUnverifiedConnections: 100,
      ticketKeys,
    })
    const port = await listener.listen()
    closers.push(async () => {
      void listener.stopAccepting()
      listener.closeConnections()
      await log.close()
    })
    let latest: TLSSocket | undefined
    listener.server.on('request', ({ socket }: IncomingMessage, outgoing: ServerResponse) => {
      latest = socket as TLSSocket
      outgoing.end('hello')
    })
    return { port, client: async () => listener.clientOf(latest ?? {}) }
  }

  async function visit(port: number, identity: Identity, session?: Buffer, localAddress = '127.0.0.1') {
    const below = connectTcp({ host: '127.0.0.1', port, localAddress })
    const socket = connect({
      socket: below,
      servername: 'localhost',
      ...tlsOptions(pki, identity),
      ...(session && { session }),
    })
    const ticket = once(socket, 'session') as Promise<[Buffer]>
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await once(socket, 'data')
    // A server that has just changed its ticket keys may send no ticket.
    const [offered] = await Promise.race([ticket, setTimeout(200, [undefined] as const)])
    const resumed = socket.isSessionReused()
    socket.destroy()
    return { resumed, session: offered }
  }

  const twoRoots = async () => {
    const root = new X509Certificate(pki.clientCa.certificate)
    const other = new X509Certificate((await issue({ commonName: 'another root', usage: 'authority' })).certificate)
    return [root, other] as const
  }

  it('recover by one full handshake if a resumed chain is unknown', async () => {
    const keys = randomBytes(48)
    const [root, other] = await twoRoots()
    const client = await makeClientBehindIntermediate(pki.clientCa)
    const first = await start(keys, [root], [other])
    const second = await start(keys, [root], [other])
    const { session } = await visit(first.port, client)
    expect(await visit(second.port, client, session)).toMatchObject({ resumed: true })
    expect(await second.client()).toMatchObject({ refusal: 'ISSUER_UNKNOWN' })
    const third = await visit(second.port, client, session)
    expect(third.resumed).toBe(false)
    expect((await second.client()).verified?.entries.size).toBe(1)
    // The gateway now knows the issuing CA, so that other addresses need no full handshake.
    await visit(second.port, client, session, '127.0.0.2')
    expect(await second.client()).toMatchObject({ audit: { tls_resumed: true }, verified: {} })
  })

  it('refuse a client once for its old certificate, however many sessions repeat it', async () => {
    const keys = randomBytes(48)
    const [root] = await twoRoots()
    const oldCa = await issue({ commonName: 'old root', usage: 'authority' })
    const elsewhere = await start(keys, [root, new X509Certificate(oldCa.certificate)])
    const here = await start(keys, [root])
    const old = await makeClient(oldCa)
    const sessions: Buffer[] = []
    for (let count = 0; count < 3; count += 1) sessions.push((await visit(elsewhere.port, old)).session as Buffer)
    // Connections that arrive at the same time are refused before a full handshake can be requested.
    const visits = await Promise.all(sessions.map((session) => visit(here.port, old, session)))
    expect(visits.map(({ resumed }) => resumed)).toEqual([true, true, true])
    let latest: Buffer | undefined
    for (const session of sessions) {
      const again = await visit(here.port, pki.client, session)
      expect([again.resumed, (await here.client()).verified !== undefined]).toEqual([false, true])
      latest = again.session
    }
    // This does not apply to later sessions.
    expect(await visit(here.port, pki.client, latest)).toMatchObject({ resumed: true })
    expect((await here.client()).verified).toBeDefined()
  })

  it('judge a resumed session by their own roots', async () => {
    const keys = randomBytes(48)
    const [root, other] = await twoRoots()
    const before = await start(keys, [root, other])
    const after = await start(keys, [other])
    const { session } = await visit(before.port, pki.client)
    expect((await before.client()).verified).toBeDefined()
    expect(await visit(after.port, pki.client, session)).toMatchObject({ resumed: true })
    expect(await after.client()).toMatchObject({ refusal: 'ISSUER_UNKNOWN' })
  })

  it('do not resume a session without a certificate request if one is required now', async () => {
    const keys = randomBytes(48)
    const [root] = await twoRoots()
    const open = await startFor('disabled', keys, [root])
    const closed = await start(keys, [root])
    const { session } = await visit(open.port, pki.client)
    expect(session).toBeInstanceOf(Buffer)
    expect(await visit(closed.port, pki.client, session)).toMatchObject({ resumed: false })
    expect((await closed.client()).verified).toBeDefined()
  })

  it('change nothing for others if a client is refused on a resumed session', async () => {
    const [root, other] = await twoRoots()
    const keys = randomBytes(48)
    const elsewhere = await start(keys, [other, root])
    const here = await start(keys, [root])
    const stranger = await makeClient(await issue({ commonName: 'nobody', usage: 'authority' }))
    const { session } = await visit(here.port, pki.client, undefined, '127.0.0.3')
    const { session: strange } = await visit(elsewhere.port, stranger)
    expect(await visit(here.port, stranger, strange)).toMatchObject({ resumed: true })
    expect(await visit(here.port, stranger, strange)).toMatchObject({ resumed: false })
    expect(await visit(here.port, pki.client, session, '127.0.0.3')).toMatchObject({ resumed: true })
    expect((await here.client()).verified).toBeDefined()
  })
})
