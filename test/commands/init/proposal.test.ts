import { expect, it } from 'vitest'
import { parse, parseDocument } from 'yaml'
import { changedText, changesTo, inWords, type Wanted } from '../../../src/commands/init/proposal.ts'

const EARLIER = `\
listen:
  port: 443 # mine
  tls: { pkcs12: server.p12, passphrase: { env: P12 } }
backends:
  hsm:
    kind: pkcs11
    module: /opt/hsm.so
    token: { label: prod, slot: 3 }
    pin: { file: /etc/hsm/pin }
    sessions: 8
  kms:
    kind: kmip
    servers: [a.example, b.example]
pools:
  - name: contoso
    pathPrefix: azureekm/contoso
    clients:
      - azureCertificate: az.json
        revocation: { crls: [ca.crl] }
      - azureCertificate: next.json
    backend: hsm
    keys:
      payroll: { standby: { backend: kms } }
      old: {}
`

const earlier = { document: parseDocument(EARLIER), data: parse(EARLIER) as unknown }
const hsm = {
  kind: 'pkcs11',
  module: '/opt/hsm.so',
  token: { label: 'prod' },
  pin: { file: '../etc/hsm/pin' },
}
const wanted: Wanted = {
  listen: { port: 443 },
  admin: undefined,
  backend: { name: 'hsm', section: hsm },
  pool: {
    name: 'contoso',
    pathPrefix: 'azureekm/contoso',
    clients: [{ azureCertificate: 'az.json' }],
    backend: 'hsm',
    keys: { payroll: {}, old: {} },
  },
  comments: {},
}
const changes = (more: Partial<Wanted>) => changesTo(earlier, { ...wanted, ...more }, '/srv')

it('the same answers cause no proposal, and further settings of the file stay', () => {
  expect(changes({})).toEqual([])
})

it('a certificate takes the place of a PKCS#12 file and its passphrase', () => {
  const tls = { certificate: 'server.pem', key: 'server.key' }
  expect(changes({ listen: { port: 443, tls } })).toEqual([{ path: ['listen', 'tls'], value: tls }])
})

it('an encrypted key takes the place of a PKCS#12 file with another passphrase', () => {
  const tls = { certificate: 'server.pem', key: 'server.key', passphrase: { file: 'right' } }
  expect(changes({ listen: { port: 443, tls } })).toEqual([{ path: ['listen', 'tls'], value: tls }])
})

it('names and roots take the place of an az file, and the revocation lists stay', () => {
  const clients = [{ subjectCommonNames: ['contoso'], caCertificates: ['root.pem'] }]
  expect(changes({ pool: { ...wanted.pool, clients } })).toEqual([
    { path: ['pools', 0, 'clients', 0], value: { revocation: { crls: ['ca.crl'] }, ...clients[0] } },
  ])
})

it('a path prefix is the same with slashes around it', () => {
  expect(changes({ pool: { ...wanted.pool, pathPrefix: '/azureekm/contoso/' } })).toEqual([])
})

it('of a list of servers or clients, the first is changed', () => {
  const kms = { name: 'kms', section: { kind: 'kmip', servers: ['c.example'] } }
  const pool = { ...wanted.pool, clients: [{ azureCertificate: 'new.json' }] }
  expect(changes({ backend: kms, pool }).map(inWords)).toEqual([
    'backends.kms.servers[0]: "c.example"',
    'pools[0].clients[0].azureCertificate: "new.json"',
  ])
})

it('a key that stays keeps its standby, and a pool of another name is added', () => {
  const [change, ...others] = changes({ pool: { ...wanted.pool, keys: { payroll: {} } } })
  expect(others).toEqual([])
  expect(change).toEqual({ path: ['pools', 0, 'keys'], value: { payroll: { standby: { backend: 'kms' } } } })
  expect(changes({ pool: { ...wanted.pool, name: 'fabrikam' } }).map(({ path }) => path)).toEqual([['pools', 1]])
})

it('what an alias stands for stays where it was written', () => {
  const text = 'x: &tls { certificate: a.pem, key: a.key }\nlisten: { tls: *tls, port: 1 }\n'
  const file = { document: parseDocument(text), data: parse(text) as unknown }
  const [change] = changesTo(file, { ...wanted, listen: { tls: { certificate: 'b.pem', key: 'a.key' } } }, '/srv')
  expect(change?.path).toEqual(['listen', 'tls', 'certificate'])
  expect(parse(changedText(file, change === undefined ? [] : [change]))).toEqual({
    x: { certificate: 'a.pem', key: 'a.key' },
    listen: { tls: { certificate: 'b.pem', key: 'a.key' }, port: 1 },
  })
})

it('changes keep comments and all other settings', () => {
  const text = changedText(earlier, changes({ listen: { port: 8443 } }))
  expect(parse(text)).toEqual({
    ...(parse(EARLIER) as object),
    listen: { ...(parse(EARLIER) as { listen: object }).listen, port: 8443 },
  })
  expect(text).toContain('port: 8443 # mine')
})
