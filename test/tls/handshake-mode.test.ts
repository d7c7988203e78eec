import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { aesKey, contosoPool, editConfig, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { API, CONTEXT, tlsOptions } from '../support/https.ts'
import { CLIENT_CN, issue, makeClient, makePki, type Identity, type Pki } from '../support/pki.ts'
import { eventually } from '../support/eventually.ts'

let pki: Pki
let fixture: TestGateway
const sockets: TLSSocket[] = []

beforeAll(async () => {
  pki = await makePki()
  const otherRoot = await issue({ commonName: 'another root', usage: 'authority' })
  const pool = contosoPool('azureekm/contoso', 'all')
  const other = { ...contosoPool('other', 'all'), name: 'other' }
  const issuing = await issue({ commonName: 'issuing', usage: 'authority' }, pki.clientCa)
  behind = await makeClient(issuing)
  ofOther = await makeClient(otherRoot)
  fixture = await startTestGateway(pki, [aesKey('k')], {
    listen: { clientAuth: 'handshake' },
    files: { 'other.pem': otherRoot.certificate, 'cas.pem': pki.clientCa.certificate + issuing.certificate },
    pools: [
      { ...pool, clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['cas.pem'] }] },
      { ...other, clients: [{ subjectCommonNames: ['fabrikam'], caCertificates: ['other.pem'] }] },
    ],
  })
})
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
  vi.useRealTimers()
})
afterAll(() => fixture.stop())

let behind: Identity
let ofOther: Identity

interface Visit {
  /** The status of a reply, or the error that ended the connection. */
  readonly outcome: number | string
  readonly ticket: Buffer | undefined
  readonly resumed: boolean
}

/** Opens a connection and sends one request. */
async function visit(identity: Identity | null = pki.client, session?: Buffer): Promise<Visit> {
  const { cert, key, ...rest } = tlsOptions(pki, identity)
  const certificate = identity === null ? {} : { cert, key }
  const socket = connect({
    host: 'localhost',
    port: fixture.port,
    ...rest,
    ...certificate,
    ...(session && { session }),
  })
  sockets.push(socket)
  let ticket: Buffer | undefined
  let outcome: number | string = 'closed'
  let resumed = false
  socket.on('secureConnect', () => (resumed = socket.isSessionReused()))
  socket.on('session', (offered: Buffer) => (ticket = offered))
  socket.on('error', ({ code }: NodeJS.ErrnoException) => (outcome = code ?? 'error'))
  const body = JSON.stringify({ request_context: CONTEXT })
  socket.on('data', (chunk: Buffer) => {
    outcome = Number(chunk.toString().slice(9, 12))
    socket.end()
  })
  socket.write(
    `POST /azureekm/contoso/info?${API} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await once(socket, 'close').catch(() => undefined)
  return { outcome, ticket, resumed }
}

const failures = async () => (await fixture.logged('tls_handshake_failed')).map(({ reason }) => reason)

describe('clientAuth: handshake', () => {
  it('serves an allowed client, even behind an issuing CA, and resumes', async () => {
    const { outcome, ticket } = await visit()
    expect(outcome).toBe(200)
    expect(await visit(pki.client, ticket)).toMatchObject({ outcome: 200, resumed: true })
    expect(await visit(behind)).toMatchObject({ outcome: 200 })
  })

  it('ends a handshake without a certificate with the alert of RFC 8446', async () => {
    const before = (await failures()).length
    expect(await visit(null)).toMatchObject({ outcome: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', ticket: undefined })
    expect((await failures()).slice(before)).toEqual(['ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE'])
  })

  it.each([
    [
      'of an unknown root',
      async () => makeClient(await issue({ commonName: 'nobody', usage: 'authority' })),
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    ['that has expired', () => makeClient(pki.clientCa, { notAfter: new Date(Date.now() - 1000) }), 'CERT_HAS_EXPIRED'],
    ['for a server', () => makeClient(pki.clientCa, { usage: 'server' }), 'INVALID_PURPOSE'],
  ] as const)(
    'ends the connection of a client with a certificate %s, and sends it no ticket',
    async (_what, make, reason) => {
      const before = (await failures()).length
      const { outcome, ticket } = await visit(await make())
      expect([typeof outcome, ticket]).toEqual(['string', undefined])
      expect((await failures()).slice(before)).toEqual([reason])
    },
  )

  it('counts a refused client by the reason, and reasons of OpenSSL alone as "other"', async () => {
    const counted = async (reason: string) => {
      const name = 'ekm_authentication_failures_total'
      const metric = (await fixture.gateway.metrics.snapshot()).find((one) => one.name === name)
      return metric?.series.get(`${name}{pool="",reason="${reason}"}`)?.[0]
    }
    const [expired = NaN, other = NaN] = [await counted('CERT_HAS_EXPIRED'), await counted('OTHER')]
    await visit(await makeClient(pki.clientCa, { notAfter: new Date(Date.now() - 1000) }))
    await visit(await makeClient(await issue({ commonName: 'nobody', usage: 'authority' })))
    await eventually(async () => {
      expect([await counted('CERT_HAS_EXPIRED'), await counted('OTHER')]).toEqual([expired + 1, other + 1])
    })
  })

  it('answers 401 to a client with a valid certificate that no pool names', async () => {
    expect(await visit(ofOther)).toMatchObject({ outcome: 401 })
    expect(await visit(await makeClient(pki.clientCa, { commonName: 'mallory' }))).toMatchObject({ outcome: 401 })
  })

  it('judges a resumed session by the present time, although OpenSSL remembers it as valid', async () => {
    const { ticket } = await visit()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 100 * 365 * 86_400_000 })
    const before = (await failures()).length
    expect(typeof (await visit(pki.client, ticket)).outcome).toBe('string')
    vi.useRealTimers()
    expect((await failures()).slice(before)).toEqual(['CERT_HAS_EXPIRED'])
    expect(await visit(pki.client, ticket)).toMatchObject({ outcome: 200, resumed: false })
  })

  it('removes a root on a reload: its client is no longer let in', async () => {
    const config = await editConfig<{ pools: { clients: { caCertificates: string[] }[] }[] }>(
      fixture.workspace,
      ({ pools }) => {
        const [entry] = pools[0]?.clients ?? []
        if (entry) entry.caCertificates = ['other.pem']
      },
    )
    const { ticket } = await visit()
    const prepared = await fixture.gateway.prepare(loadConfig(config, {}))
    prepared.commit()
    expect(typeof (await visit()).outcome).toBe('string')
    expect(typeof (await visit(pki.client, ticket)).outcome).toBe('string')
    expect(await visit(ofOther)).toMatchObject({ outcome: 200 })
  })
})
