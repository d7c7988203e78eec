import { X509Certificate } from 'node:crypto'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aesKey, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, openSocket, send, tlsOptions, type Reply } from '../support/https.ts'
import {
  CLIENT_CN,
  issue,
  makeClient,
  makeClientBehindIntermediate,
  makePki,
  tomorrow,
  yesterday,
  type Authority,
  type Identity,
  type Pki,
} from '../support/pki.ts'

const OTHER_CN = 'fabrikam.managedhsmclient.azure.net'
const VALUE = Buffer.alloc(32, 9).toString('base64url')
const body = { request_context: CONTEXT, alg: 'A256KW', value: VALUE }

let pki: Pki
let otherRoot: Authority
let fixture: TestGateway

beforeAll(async () => {
  pki = await makePki()
  otherRoot = await issue({ commonName: 'the other root', usage: 'authority' })
  const clients = (name: string, ca: string) => [{ subjectCommonNames: [name], caCertificates: [ca] }]
  const pool = { backend: 'store', keys: { shared: {} } }
  fixture = await startTestGateway(pki, [aesKey('shared'), aesKey('k'), aesKey('unlisted')], {
    // The files are written into the gateway's directory before it starts.
    pools: [
      { ...pool, name: 'contoso', pathPrefix: 'azureekm/contoso', clients: clients(CLIENT_CN, 'client-ca.pem') },
      { ...pool, name: 'fabrikam', pathPrefix: '/azureekm/', clients: [{ azureCertificate: 'fabrikam.json' }] },
      {
        ...pool,
        name: 'root',
        clients: clients(CLIENT_CN, 'client-ca.pem'),
        keys: { azureekm: { ref: 'k' }, info: { ref: 'k' }, a: { ref: 'missing' } },
        info: { proxyVendor: 'Contoso', ekmProduct: 'vault 1' },
      },
      { ...pool, name: 'deep', pathPrefix: 'azureekm/contoso/a', clients: clients(CLIENT_CN, 'client-ca.pem') },
    ],
    files: {
      'fabrikam.json': JSON.stringify({
        subjectCommonName: OTHER_CN,
        caCertificates: [new X509Certificate(otherRoot.certificate).raw.toString('base64')],
        extra: true,
      }),
    },
  })
})

afterAll(() => fixture.stop())

const call = (path: string, identity: Identity | null = pki.client) =>
  send(fixture.port, pki, { path: `${path}?${API}`, body }, identity)

const expectRefused = (reply: Reply) =>
  expect([reply.status, reply.json['code'], reply.headers['connection']]).toEqual([401, 'Unauthorized', 'close'])

describe('pools', () => {
  it('are told apart even by overlapping prefixes', async () => {
    const paths = ['/azureekm/contoso/info', '/azureekm/contoso/a/info', '/azureekm/contoso/a/shared/metadata', '/info']
    for (const path of [...paths, '/info/metadata', '/azureekm/metadata', '/azureekm/contoso/shared/wrapkey']) {
      expect([path, (await call(path)).status]).toEqual([path, 200])
    }
    const poolsSeen = (await fixture.logged('request')).slice(-7).map(({ pool, key }) => [pool, key])
    expect(poolsSeen).toEqual([
      ['contoso', undefined],
      ['deep', undefined],
      ['deep', 'shared'],
      ['root', undefined],
      ['root', 'info'],
      ['root', 'azureekm'],
      ['contoso', 'shared'],
    ])
  })

  it('each have their own info', async () => {
    expect((await call('/info')).json).toMatchObject({ proxy_vendor: 'Contoso', ekm_product: 'vault 1' })
    expect((await call('/azureekm/contoso/info')).json).toMatchObject({ proxy_vendor: 'ekm-gateway' })
  })

  it('serve only the keys they list', async () => {
    const replies = [await call('/azureekm/contoso/unlisted/wrapkey'), await call('/a/wrapkey')]
    expect(replies.map(({ status, json }) => [status, json['code']])).toEqual([
      [404, 'KeyNotFound'],
      [404, 'KeyNotFound'],
    ])
  })

  it('refuse a client of another pool', async () => {
    const fabrikam = await makeClient(otherRoot, { commonName: OTHER_CN })
    expect((await call('/azureekm/info', fabrikam)).status).toBe(200)
    for (const path of ['/azureekm/contoso/info', '/info', '/azureekm/contoso/shared/wrapkey', '/nowhere/x']) {
      const reply = await call(path, fabrikam)
      if (path === '/nowhere/x') expect(reply.status).toBe(404)
      else expectRefused(reply)
    }
    expectRefused(await call('/azureekm/info'))
  })

  it("refuse a client of another root that carries this pool's name", async () => {
    const impostor = await makeClient(otherRoot, { commonName: CLIENT_CN })
    for (const path of ['/azureekm/contoso/info', '/azureekm/info', '/nowhere']) {
      expectRefused(await call(path, impostor))
    }
    const record = (await fixture.logged('request')).at(-1)
    expect(record).toMatchObject({ status: 401, reason: 'CLIENT_NOT_ALLOWED', client_cn: CLIENT_CN })
  })
})

describe('client certificates that are refused', () => {
  const rows: readonly (readonly [string, () => Promise<Identity | null>, string])[] = [
    ['no certificate at all', () => Promise.resolve(null), 'NO_CERTIFICATE'],
    ['expired', () => makeClient(pki.clientCa, { notAfter: new Date(Date.now() - 1000) }), 'CERT_HAS_EXPIRED'],
    ['not yet valid', () => makeClient(pki.clientCa, { notBefore: tomorrow(), notAfter: new Date(Date.now() + 9e8) }), 'CERT_NOT_YET_VALID'],
    ['for a server', () => makeClient(pki.clientCa, { usage: 'server' }), 'USAGE_NOT_PERMITTED'],
    ['self-signed', () => makeClient(undefined), 'ISSUER_UNKNOWN'],
    ['of an unknown root', async () => makeClient(await issue({ commonName: 'nobody', usage: 'authority' })), 'ISSUER_UNKNOWN'],
    ["of a root that only has the right one's name", async () => makeClient(await issue({ commonName: 'test client CA', usage: 'authority' })), 'SIGNATURE_INVALID'],
    ['issued by a client, not a CA', async () => { const leaf = await makeClient(pki.clientCa, { commonName: 'x' }); return withChain(await makeClient(leaf), leaf) }, 'ISSUER_NOT_A_CA'],
  ] /* prettier-ignore */ // one case a line
  const withChain = (leaf: Identity, issuer: Identity) => ({
    certificate: leaf.certificate + issuer.certificate,
    key: leaf.key,
  })

  it.each(rows)('%s', async (_what, make, detail) => {
    const identity = await make()
    for (const path of ['/azureekm/contoso/info', '/azureekm/contoso/shared/wrapkey', '/nowhere']) {
      expectRefused(await call(path, identity))
    }
    const record = (await fixture.logged('request')).at(-1)
    expect(record).toMatchObject({ status: 401, reason: 'CERTIFICATE_REFUSED' })
    expect(record?.['detail']).toBe(detail)
  })

  it.each([
    ['another common name', () => makeClient(pki.clientCa, { commonName: 'mallory' })],
    [
      'a common name in capitals, which no pool lists',
      () => makeClient(pki.clientCa, { commonName: CLIENT_CN.toUpperCase() }),
    ],
    ['two common names', () => makeClient(pki.clientCa, { commonName: ['mallory', CLIENT_CN] })],
  ])('%s', async (_what, make) => {
    expectRefused(await call('/azureekm/contoso/info', await make()))
  })

  it('are refused before the body is read', async () => {
    const socket = await openSocket(fixture.port, pki, { ...tlsOptions(pki, null), cert: undefined, key: undefined })
    const reply = new Promise<string>((resolve) => socket.once('data', (chunk: Buffer) => resolve(chunk.toString())))
    socket.write(`POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n`)
    expect(await reply).toMatch(/^HTTP\/1\.1 401 /)
    socket.destroy()
  })

  it('are refused from the moment they expire, even on an open connection', async () => {
    const brief = await makeClient(pki.clientCa, { notAfter: new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000) })
    const socket = await openSocket(fixture.port, pki, tlsOptions(pki, brief))
    expect(await onSocket(socket)).toMatch(/^HTTP\/1\.1 200 /)
    await new Promise((resolve) => setTimeout(resolve, 3100))
    expect(await onSocket(socket)).toMatch(/^HTTP\/1\.1 401 /)
    socket.destroy()
  })
})

describe('an issuing CA that only the client knows', () => {
  it('is followed to its root', async () => {
    const client = await makeClientBehindIntermediate(pki.clientCa)
    expectRefused(await call('/azureekm/info', client))
    expect((await call('/azureekm/contoso/info', client)).status).toBe(200)
  })

  it('does not make its client one of another root', async () => {
    const impostor = await makeClientBehindIntermediate(otherRoot)
    expectRefused(await call('/azureekm/contoso/info', impostor))
  })

  it('is refused when it has expired', async () => {
    const expired = await issue(
      { commonName: 'old CA', usage: 'authority', notAfter: yesterday(), notBefore: new Date(0) },
      pki.clientCa,
    )
    const leaf = await makeClient(expired)
    expectRefused(
      await call('/azureekm/contoso/info', { certificate: leaf.certificate + expired.certificate, key: leaf.key }),
    )
  })
})

const info = `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
const payload = JSON.stringify({ request_context: CONTEXT })

function onSocket(socket: TLSSocket): Promise<string> {
  return new Promise((resolve, reject) => {
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString()))
    socket.once('error', reject)
    socket.once('close', () => resolve(''))
    socket.write(`${info}Content-Length: ${payload.length}\r\n\r\n${payload}`)
  })
}

/** Sends one request on a connection of its own. Resolves also with the session that the server offered. */
async function visit(port: number, identity: Identity, session?: Buffer) {
  const socket = connect({ host: 'localhost', port, ...tlsOptions(pki, identity), ...(session && { session }) })
  let offered: Buffer | undefined
  socket.on('session', (ticket: Buffer) => (offered = ticket))
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject))
  const reply = await onSocket(socket)
  const resumed = socket.isSessionReused()
  socket.destroy()
  return { status: Number(reply.slice(9, 12)), resumed, session: offered }
}

describe('a resumed session', () => {
  it('keeps its client', async () => {
    const client = await makeClient(pki.clientCa)
    const first = await visit(fixture.port, client)
    expect(first).toMatchObject({ status: 200, resumed: false })
    const second = await visit(fixture.port, client, first.session)
    expect(second).toMatchObject({ status: 200, resumed: true })
    expect((await fixture.logged('request')).at(-1)).toMatchObject({ tls_resumed: true, client_cn: CLIENT_CN })
  })

  it('keeps its client behind an issuing CA', async () => {
    const client = await makeClientBehindIntermediate(pki.clientCa)
    const first = await visit(fixture.port, client)
    expect(first.status).toBe(200)
    const second = await visit(fixture.port, client, first.session)
    expect(second).toMatchObject({ status: 200, resumed: true })
  })

  it('keeps its client behind an issuing CA that the configuration names', async () => {
    const issuing = await issue({ commonName: 'a listed issuing CA', usage: 'authority' }, pki.clientCa)
    const leaf = await makeClient(issuing)
    const listed = await startTestGateway(pki, [aesKey('k')], {
      pools: [
        {
          name: 'a',
          pathPrefix: 'azureekm/contoso',
          backend: 'store',
          keys: 'all',
          clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem', 'issuing.pem'] }],
        },
        {
          name: 'b',
          backend: 'store',
          keys: 'all',
          clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['other.pem'] }],
        },
      ],
      files: { 'issuing.pem': issuing.certificate, 'other.pem': otherRoot.certificate },
    })
    const first = await visit(listed.port, leaf)
    const second = await visit(listed.port, leaf, first.session)
    expect([first, second]).toMatchObject([
      { status: 200, resumed: false },
      { status: 200, resumed: true },
    ])
    await listed.stop()
  })

  it.each([
    ['issued by the root', (root: Authority) => makeClient(root)],
    ['behind an issuing CA', (root: Authority) => makeClientBehindIntermediate(root)],
  ])('does not let an impostor in: %s', async (_what, make) => {
    const impostor = await make(otherRoot)
    const first = await visit(fixture.port, impostor)
    expect(first).toMatchObject({ status: 401, resumed: false })
    const second = await visit(fixture.port, impostor, first.session)
    expect(second.status).toBe(401)
  })
})
