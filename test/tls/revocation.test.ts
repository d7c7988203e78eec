import 'reflect-metadata'
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import * as x509 from '@peculiar/x509'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { parseRevocationLists } from '../../src/config/revocation-lists.ts'
import { Variables } from '../../src/settings/variables.ts'
import { startService } from '../../src/service/start.ts'
import { makeList, derOf, type ListRequest } from '../support/crl.ts'
import {
  aesKey,
  contosoPool,
  editConfig,
  recordsIn,
  startTestGateway,
  writeGatewayFiles,
  type TestGateway,
} from '../support/gateway.ts'
import { metric } from '../support/metrics.ts'
import { CLIENT_CN, issue, makeClient, makePki, type Authority, type Identity, type Pki } from '../support/pki.ts'
import { visit, type Visit } from './support/visits.ts'

let pki: Pki
let issuing: Authority
let behind: Identity
let fixture: TestGateway

beforeAll(async () => {
  pki = await makePki()
  issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, pki.clientCa)
  const leaf = await makeClient(issuing)
  behind = { certificate: leaf.certificate + issuing.certificate, key: leaf.key }
  fixture = await startTestGateway(pki, [aesKey('k')], settings({ lists: [await list()] }))
})
afterAll(() => fixture.stop())

interface Lists {
  readonly lists: readonly string[]
  readonly whenStale?: 'refuse' | 'warn'
  /** Issuing CAs in the configuration. */
  readonly known?: readonly Authority[]
}

const filesOf = ({ lists, known = [] }: Lists) => ({
  ...Object.fromEntries(lists.map((list, index) => [`crl-${index}.pem`, list])),
  'known.pem': [pki.clientCa, ...known].map(({ certificate }) => certificate).join(''),
})

const poolOf = ({ lists, whenStale }: Lists) => ({
  ...contosoPool('azureekm/contoso', 'all'),
  clients: [
    {
      subjectCommonNames: [CLIENT_CN],
      caCertificates: ['known.pem'],
      revocation: { lists: lists.map((_, index) => `crl-${index}.pem`), ...(whenStale && { whenStale }) },
    },
  ],
})

const settings = (lists: Lists) => ({ files: filesOf(lists), pools: [poolOf(lists)] })

const list = (request?: ListRequest) => makeList(pki.clientCa, request)
const past = () => new Date(Date.now() - 60_000)
const write = (name: string, content: string) => fixture.workspace.write(name, content)

async function reload(): Promise<void> {
  const prepared = await fixture.gateway.prepare(loadConfig(fixture.workspace.path('gateway.yaml'), {}))
  prepared.commit()
}

/** Replaces the gateway's lists with these. */
async function use(lists: Lists): Promise<void> {
  for (const [name, content] of Object.entries(filesOf(lists))) await write(name, content)
  await editConfig<{ pools: object[] }>(fixture.workspace, (yaml) => (yaml.pools = [poolOf(lists)]))
  await reload()
}

const come = (identity: Identity = pki.client, session?: Buffer) =>
  visit({ port: fixture.port, pki, identity, session })

/** The status and the audit reason of a request on a connection. */
async function askOn({ ask, address }: Visit, count = 1) {
  const status = await ask('azureekm/contoso')
  const record = (await fixture.requestsFrom(address, count)).at(-1)
  return [status, record?.['detail']]
}

async function ask(identity?: Identity) {
  const connection = await come(identity)
  const told = await askOn(connection)
  connection.leave()
  return told
}

describe('a client that a revocation list', () => {
  it('does not name gets in', async () => {
    await use({ lists: [await list({ revoked: [await makeClient(pki.clientCa)] })] })
    expect(await ask()).toEqual([200, undefined])
  })

  it('names is refused', async () => {
    await use({ lists: [await list({ revoked: [pki.client] })] })
    expect(await ask()).toEqual([401, 'CERT_REVOKED'])
    expect(await ask(await makeClient(pki.clientCa))).toEqual([200, undefined])
  })

  it('names is refused even if the list should have been replaced, and even if that only causes a warning', async () => {
    const lists = [await list({ revoked: [pki.client], nextUpdate: past() })]
    await use({ lists, whenStale: 'warn' })
    expect(await ask()).toEqual([401, 'CERT_REVOKED'])
  })

  /** An issuing distribution point with a URI that no certificate names. */
  const elsewhere = () => {
    const uri = Buffer.from('http://crl.example/other')
    const point = [0xa0, uri.length + 4, 0xa0, uri.length + 2, 0x86, uri.length]
    return new x509.Extension('2.5.29.28', true, Buffer.concat([Buffer.of(0x30, uri.length + 6, ...point), uri]))
  }
  const unknown = () => new x509.Extension('1.2.3.4', true, Buffer.of(5, 0))

  it.each<readonly [string, ListRequest]>([
    ['an old delta list', { number: 3, base: 2, nextUpdate: past() }],
    ['a delta list to a base that is not there', { number: 9, base: 8 }],
    ['a list for other certificates', { more: [elsewhere()] }],
    ['a list with an extension that is not known', { more: [unknown()] }],
  ])('names is refused, also by %s', async (_what, request) => {
    const naming = await list({ ...request, revoked: [pki.client] })
    for (const whenStale of ['refuse', 'warn'] as const) {
      const before = new Date(Date.now() - 7_200_000)
      await use({ lists: [await list({ number: 2, thisUpdate: before }), naming], whenStale })
      expect(await ask()).toEqual([401, 'CERT_REVOKED'])
    }
  })

  it('named gets in if a newer list does not name it', async () => {
    await use({
      lists: [await list({ number: 2, revoked: [pki.client], nextUpdate: past() }), await list({ number: 3 })],
    })
    expect(await ask()).toEqual([200, undefined])
  })

  it('names does not get in by certificates that use up the time for the search', async () => {
    const twins = await Promise.all(
      [1, 2].map(() => issue({ commonName: 'issuing CA', usage: 'authority' }, pki.clientCa)),
    )
    const [first, second] = twins as [Authority, Authority]
    const leaf = await makeClient(first)
    const junk = await Promise.all(
      Array.from({ length: 7 }, () => issue({ commonName: 'issuing CA', usage: 'authority' })),
    )
    const lists = [await list(), await makeList(first, { revoked: [leaf] }), await makeList(second)]
    await use({ lists, whenStale: 'warn' })
    for (const sent of [[first], [first, ...junk], [...junk, first]]) {
      const certificate = [leaf, ...sent].map((identity) => identity.certificate).join('')
      expect((await ask({ certificate, key: leaf.key }))[0]).toBe(401)
    }
  })

  it('names as an issuer of others is refused with all that it issued', async () => {
    const lists = [await list({ revoked: [issuing] }), await makeList(issuing)]
    await use({ lists })
    expect(await ask(behind)).toEqual([401, 'CERT_REVOKED'])
    expect(await ask()).toEqual([200, undefined])
  })
})

describe('a list whose signer the configuration does not name', () => {
  /** Two keys of one CA. Only clients show their certificates. */
  async function renewedCa() {
    const [old, renewed] = await Promise.all(
      [1, 2].map(() => issue({ commonName: 'issuing CA', usage: 'authority' }, pki.clientCa)),
    )
    if (!old || !renewed) throw new Error('no CA was made')
    const clientOf = async (authority: Authority) => {
      const leaf = await makeClient(authority)
      return { leaf, chain: { certificate: leaf.certificate + authority.certificate, key: leaf.key } }
    }
    return { old, renewed, revoked: await clientOf(old), teacher: await clientOf(renewed) }
  }

  it.each(['refuse', 'warn'] as const)('refuses whom it names once a client has shown it (%s)', async (whenStale) => {
    const { old, renewed, revoked, teacher } = await renewedCa()
    const lists = [await list(), await makeList(old), await makeList(renewed, { revoked: [revoked.leaf] })]
    await use({ lists, whenStale })
    const connection = await come(revoked.chain)
    const session = await connection.ticket()
    expect(await askOn(connection)).toEqual([200, undefined])
    expect(await ask(teacher.chain)).toEqual([200, undefined])
    expect(await askOn(connection, 2)).toEqual([401, 'CERT_REVOKED'])
    expect(await ask(revoked.chain)).toEqual([401, 'CERT_REVOKED'])
    const resumed = await come(revoked.chain, session)
    expect(await askOn(resumed)).toEqual([401, 'CERT_REVOKED'])
    for (const { leave } of [connection, resumed]) leave()
  })
})

describe('a client of which no current list tells', () => {
  const rows: readonly (readonly [string, () => Promise<readonly string[]>, () => Identity])[] = [
    ['the list should have been replaced', async () => [await list({ nextUpdate: past() })], () => pki.client],
    [
      'the list is from the future',
      async () => [await list({ thisUpdate: new Date(Date.now() + 60_000) })],
      () => pki.client,
    ],
    ['its issuing CA has no list', async () => [await list()], () => behind],
    [
      "the list of its issuing CA is another's work",
      async () => [await list(), await makeList(issuing, { signer: pki.serverCa })],
      () => behind,
    ],
  ]

  it.each(rows)('is refused where %s', async (_why, lists, client) => {
    await use({ lists: await lists() })
    expect(await ask(client())).toEqual([401, 'REVOCATION_UNKNOWN'])
  })

  it.each(rows)('gets in with whenStale: warn where %s', async (_why, lists, client) => {
    await use({ lists: await lists(), whenStale: 'warn' })
    expect(await ask(client())).toEqual([200, undefined])
  })

  it('is refused on an open connection from the moment at which a newer list is due', async () => {
    const nextUpdate = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000)
    await use({ lists: [await list({ nextUpdate })] })
    const connection = await come()
    expect(await askOn(connection)).toEqual([200, undefined])
    await setTimeout(nextUpdate.getTime() - Date.now() + 100)
    expect(await askOn(connection, 2)).toEqual([401, 'REVOCATION_UNKNOWN'])
    connection.leave()
  })
})

describe('a client that one pool refuses and another allows', () => {
  const strict = { ...contosoPool('azureekm/strict', 'all'), name: 'strict' }

  it.each<readonly [string, () => Promise<string>, string]>([
    ['names it', () => list({ revoked: [pki.client] }), 'CERT_REVOKED'],
    ['should have been replaced', () => list({ nextUpdate: past() }), 'REVOCATION_UNKNOWN'],
    ['is not valid yet', () => list({ thisUpdate: new Date(Date.now() + 3_600_000) }), 'REVOCATION_UNKNOWN'],
  ])('is told from a client of another name, if the list %s', async (_, made, detail) => {
    await write('crl-0.pem', await made())
    const revocation = poolOf({ lists: [''] }).clients[0]?.revocation
    const entry = { subjectCommonNames: [CLIENT_CN], caCertificates: ['known.pem'] }
    await editConfig<{ pools: object[] }>(fixture.workspace, (yaml) => {
      yaml.pools = [contosoPool('azureekm/contoso', 'all'), { ...strict, clients: [{ ...entry, revocation }] }]
    })
    await reload()
    const connection = await come()
    expect(await askOn(connection)).toEqual([200, undefined])
    expect(await connection.ask('azureekm/strict')).toBe(401)
    const [, refused] = await fixture.requestsFrom(connection.address, 2)
    expect(refused).toMatchObject({ reason: 'CLIENT_NOT_ALLOWED', detail })
    connection.leave()
  })
})

describe('a list that is replaced', () => {
  it('refuses a client from that moment on, on an open connection and on a resumed session', async () => {
    await use({ lists: [await list()] })
    const [kept, other] = [await come(), await come()]
    const session = await kept.ticket()
    expect([await askOn(kept), await askOn(other)]).toEqual([
      [200, undefined],
      [200, undefined],
    ])
    await write('crl-0.pem', await list({ revoked: [pki.client] }))
    await reload()
    expect(await kept.ask('azureekm/contoso')).toBe('closed')
    const resumed = await come(pki.client, session)
    expect(resumed.isResumed).toBe(true)
    expect(await askOn(resumed)).toEqual([401, 'CERT_REVOKED'])
    expect(await fixture.requestsFrom(resumed.address)).toMatchObject([{ tls_resumed: true }])
    for (const connection of [kept, other, resumed]) connection.leave()
  })

  it('lets in a client again that was refused for an old list', async () => {
    await use({ lists: [await list({ nextUpdate: past() })] })
    expect(await ask()).toEqual([401, 'REVOCATION_UNKNOWN'])
    await write('crl-0.pem', await list())
    await reload()
    expect(await ask()).toEqual([200, undefined])
  })

  it('changes nothing if its issuer did not sign the new one', async () => {
    await use({ lists: [await list({ revoked: [pki.client] })] })
    await write('crl-0.pem', await list({ signer: pki.serverCa }))
    await expect(reload()).rejects.toMatchObject({ code: 'REVOCATION_LIST_INVALID' })
    expect(await ask()).toEqual([401, 'CERT_REVOKED'])
  })

  it('is read again without a signal, and its age is watched', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('k')], {
      ...settings({ lists: [await list()] }),
      admin: { port: 0 },
    })
    const service = await startService(file, new Variables({}), { exec: 'none' })
    try {
      const logged = async (event: string) => recordsIn(await readFile(workspace.path('gateway.log'), 'utf8'), event)
      await expect.poll(() => logged('admin_listening')).toHaveLength(1)
      const port = Number((await logged('admin_listening'))[0]?.['port'])
      const days = () => metric(port, 'ekm_crl_days_left{pool="contoso",issuer="test client CA"}')
      const gaps = () => metric(port, 'ekm_crl_gaps{pool="contoso"}')
      expect(await days()).toBeCloseTo(1, 1)
      expect(await gaps()).toBe(0)
      await workspace.write('crl-0.pem', await list({ revoked: [pki.client], nextUpdate: past() }))
      await expect.poll(() => logged('reloaded')).toHaveLength(1)
      expect(await days()).toBeLessThan(0)
      expect(await logged('crl_gap')).toEqual([])
      expect(await logged('crl_expired')).toEqual([
        expect.objectContaining({ level: 'error', pool: 'contoso', issuer: 'test client CA' }),
      ])
      const onlyCas = new x509.Extension('2.5.29.28', true, Buffer.of(0x30, 3, 0x82, 1, 0xff))
      await workspace.write('crl-0.pem', await list({ more: [onlyCas] }))
      await expect.poll(() => logged('reloaded')).toHaveLength(2)
      const gap = { pool: 'contoso', issuer: 'test client CA', certificates: 'client', reason: 'ONLY_CA_CERTIFICATES' }
      expect(await logged('crl_gap')).toEqual([expect.objectContaining({ level: 'error', ...gap })])
      expect(await gaps()).toBe(1)
    } finally {
      await service.drain()
      await workspace.remove()
    }
  })
})

describe('a revocation list', () => {
  it('may be in DER', async () => {
    const { workspace, file } = await writeGatewayFiles(pki, [aesKey('k')], settings({ lists: [''] }))
    await workspace.write('crl-0.pem', derOf(await list({ revoked: [pki.client] })))
    const [entry] = loadConfig(file, {}).pools[0]?.clients ?? []
    expect(entry?.revocation?.lists.map(({ issuer }) => issuer.text)).toEqual(['test client CA'])
    await workspace.remove()
  })

  const issuersIn = (bytes: Buffer) => parseRevocationLists(bytes).map(({ issuer }) => issuer.text)

  it('may be among certificates, comments and other lists, as OpenSSL prints them', async () => {
    const [one, two] = [await list(), await makeList(issuing)]
    const text = `# from http://crl.example/ - hourly\n${one}Issuer: a CA ----\n${pki.clientCa.certificate}${two}\n0 left\n`
    expect(issuersIn(Buffer.from(text))).toEqual(['test client CA', 'issuing CA'])
    expect(issuersIn(Buffer.from(text.replaceAll('\n', '\r\n')))).toEqual(['test client CA', 'issuing CA'])
    // A comment whose first bytes look like DER.
    expect(issuersIn(Buffer.from(`0 ${text}`))).toHaveLength(2)
  })

  it.each(['\n', '\r\n', '\n\n '])('in DER may end with a line: %j', async (end) => {
    expect(issuersIn(Buffer.concat([derOf(await list()), Buffer.from(end)]))).toEqual(['test client CA'])
  })

  it.each<readonly [string, () => Buffer | string | Promise<Buffer | string>, RegExp]>([
    ['a certificate', () => pki.clientCa.certificate, /no certificate revocation list.*: it holds CERTIFICATE$/],
    ['a certificate in DER', () => new X509Certificate(pki.clientCa.certificate).raw, /cannot be read/],
    ['a file of text', () => 'hello', /no certificate revocation list.*: it holds neither PEM nor DER$/],
    ['an empty file', () => '', /no certificate revocation list.*: it is empty$/],
    ['a damaged list', async () => (await list()).replace(/\n[A-Za-z0-9]/, '\n!'), /cannot be read as .*: .*base64/],
    ['a list that is cut off', async () => (await list()).slice(0, -12), /cannot be read as .*: .*no end/],
    ['a good list and one that is cut off', async () => (await list()) + (await list()).slice(0, -12), /no end/],
    ['DER that is cut off', async () => derOf(await list()).subarray(0, -1), /cannot be read as .*: /],
    [
      'DER with more behind it',
      async () => Buffer.concat([derOf(await list()), Buffer.from('x')]),
      /cannot be read as .*: /,
    ],
    [
      'a list without an end',
      async () => list({ nextUpdate: 'none' }),
      /cannot be read as .*: .*nextUpdate.* 5\.1\.2\.5/,
    ],
    ['a file that is too long', () => Buffer.alloc(8 * 1024 * 1024 + 1, 0x30), /longer than 8388608 bytes/],
  ])('is not %s', async (_what, content, message) => {
    const { workspace, file } = await writeGatewayFiles(pki, [], settings({ lists: [''] }))
    await workspace.write('crl-0.pem', await content())
    expect(() => loadConfig(file, {})).toThrow(
      expect.objectContaining({
        problems: [
          expect.objectContaining({
            path: 'pools[0].clients[0].revocation.lists[0]',
            message: expect.stringMatching(message) as string,
          }),
        ],
      }),
    )
    await workspace.remove()
  })

  it('that is a delta list needs a complete one of the same CA', async () => {
    const delta = await list({ number: 3, base: 2 })
    const lists = settings({ lists: [delta, await makeList(issuing)] })
    await expect(startTestGateway(pki, [], lists)).rejects.toMatchObject({
      code: 'REVOCATION_LIST_INVALID',
      message: 'the revocation list of test client CA is a delta list, and its complete list is missing',
    })
  })

  it('that another signed ends the start', async () => {
    await expect(
      startTestGateway(pki, [], settings({ lists: [await list({ signer: pki.serverCa })] })),
    ).rejects.toMatchObject({
      code: 'REVOCATION_LIST_INVALID',
      message: 'the revocation list of test client CA is not signed by the CA certificate of that name',
    })
  })
})
