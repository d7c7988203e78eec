import { createPrivateKey } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadBackends, loadConfig } from '../../src/config/load.ts'
import { CLIENT_CN } from '../support/pki.ts'
import { CANARY, GOOD, makeSite, markedLines, PASSPHRASE, problemsOf, softwareBackend, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  site = await makeSite()
})
afterAll(() => site.workspace.remove())

/** `GOOD` with `from` replaced. `from` must occur in it. */
function changed(from: string, to: string): string {
  expect(GOOD).toContain(from)
  return GOOD.replace(from, to)
}

const TLS = 'tls: { certificate: server.pem, key: server.key }'
const CLIENTS = '    clients:\n      - azureCertificate: azure.json\n'
const SECRET = 'passphrase: { file: passphrase }'
const tls = (members: string) => [TLS, `tls: { ${members} } #!`] as const
const client = (members: string) => [CLIENTS, `    clients:\n      - { ${members} } #!\n`] as const
const secret = (value: string) => [SECRET, `passphrase: ${value} #!`] as const
const prefix = (value: string) => ['pathPrefix: azureekm/contoso', `pathPrefix: ${value} #!`] as const
const keys = (value: string) => ['keys: all', `keys: ${value}`] as const
const hsm = (members: string) => ['backends:\n', `backends:\n  hsm: { kind: pkcs11, ${members} } #!\n`] as const
const kms = (members: string) =>
  [
    'backends:\n',
    `backends:\n  kms: { kind: kmip, tls: { ca: root.pem, certificate: server.pem, key: server.key }, ${members} } #!\n`,
  ] as const
const kmsTls = (members: string) =>
  ['backends:\n', `backends:\n  kms: { kind: kmip, servers: [a], tls: { ${members} } } #!\n`] as const
const anotherPool = (members: string) =>
  [
    '    keys: all\n',
    `    keys: all\n  - { ${members}, backend: store, clients: [{ azureCertificate: azure.json }], keys: all } #!\n`,
  ] as const

describe('a valid configuration', () => {
  const rows: readonly (readonly [what: string, from: string, to: string])[] = [
    ['as it stands', '', ''],
    ['a PKCS#12 file with its passphrase', ...tls('pkcs12: server.p12, passphrase: { file: passphrase }')],
    ['a PKCS#12 file without a passphrase', ...tls('pkcs12: open.p12')],
    ['an encrypted key', ...tls('certificate: server.pem, key: encrypted.key, passphrase: { file: passphrase }')],
    ['a key manager', ...kms('servers: [a, { address: b, ciphers: ECDHE-RSA-AES256-SHA384 }]')],
    [
      'an encrypted key for a key manager',
      ...kmsTls('ca: bundle.pem, certificate: server.pem, key: encrypted.key, passphrase: { file: passphrase }'),
    ],
    [
      'names and roots in place of azureCertificate',
      ...client('subjectCommonNames: [a, b], caCertificates: [root.pem, bundle.pem]'),
    ],
    ['PEM inside of azureCertificate', ...client('azureCertificate: azure-pem.json')],
    ['a prefix with slashes around it', ...prefix('/a/b/')],
    ['an empty prefix', ...prefix('""')],
    ['a prefix of one slash', ...prefix('/')],
    ['a prefix of 64 characters', ...prefix(`/${'p'.repeat(63)}/`)],
    ['DER in place of PEM', ...tls('certificate: server.der, key: server.key')],
    ['DER roots', ...client('subjectCommonNames: [a], caCertificates: [root.der]')],
    ['DER for a key manager', ...kmsTls('ca: root.der, certificate: server.der, key: server.key')],
    ['prefixes that overlap', ...anotherPool('name: b, pathPrefix: azureekm')],
    ['keys with and without members', ...keys('{ aes-1: {}, rsa-1: { ref: "pkcs11:object=payroll-kek;id=%0A" }, x: }')],
    ['no keys yet', ...keys('{}')],
    ['no clients where none is asked for', '  host: 127.0.0.1\n', '  clientAuth: disabled\n'],
    ['balancers', 'host: 127.0.0.1', 'proxyProtocol: [10.0.0.7, 10.0.0.0/8, "fd00::/8", "::1", 0.0.0.0/0]'],
    ['a secret in the environment', ...secret('{ env: STORE_PASSPHRASE }')],
  ]

  it.each(rows)('%s', async (what, from, to) => {
    let yaml = from === '' ? GOOD : changed(from, to)
    if (what.startsWith('no clients')) yaml = yaml.replace(CLIENTS, '')
    expect(problemsOf(await site.write(yaml), { STORE_PASSPHRASE: PASSPHRASE })).toEqual([])
  })

  it('has every default filled in', async () => {
    const yaml = GOOD.replace('  host: 127.0.0.1\n  port: 0\n', '').replace('limits:\n  deadlineMs: 200\n', '')
    expect(loadConfig(await site.write(yaml), {})).toMatchObject({
      listen: { host: '0.0.0.0', port: 8443, clientAuth: 'required' },
      limits: {
        deadlineMs: 200,
        maxBodyBytes: 65_536,
        idleConnectionMs: 300_000,
        keyCacheMs: 5000,
        drainDelayMs: 5000,
        drainMs: 5000,
      },
      log: { level: 'info', destination: 'stdout' },
      info: {},
      pools: [{ info: {} }],
    })
  })

  it('resolves paths from the file’s directory', async () => {
    const { backends } = loadConfig(await site.write(GOOD), {})
    expect(backends['store']).toMatchObject({ kind: 'software', directory: site.workspace.path('keys') })
  })

  it('sorts the certificates of azureCertificate into roots and others', async () => {
    const yaml = changed('azure.json', 'azure-several.json')
    const [pool] = loadConfig(await site.write(yaml), {}).pools
    expect(pool?.clients).toHaveLength(1)
    const [{ commonNames, roots, intermediates } = { commonNames: [], roots: [], intermediates: [] }] =
      pool?.clients ?? []
    expect(commonNames).toEqual([CLIENT_CN])
    expect(roots.map(({ subject }) => subject)).toEqual(['CN=test client CA', 'CN=other root'])
    expect(intermediates.map(({ subject }) => subject)).toEqual(['CN=issuing CA'])
  })

  it.each([
    ['without the newline at the end of its file', '{ file: passphrase }', PASSPHRASE],
    ['as it stands in the environment', '{ env: SPACED }', ' spaced\n'],
  ])('has its secret read %s', async (_what, value, expected) => {
    const { backends } = loadConfig(await site.write(changed(...secret(value))), { SPACED: ' spaced\n' })
    expect(Buffer.from(softwareBackend(backends, 'store').passphrase.reveal()).toString()).toBe(expected)
  })
})

describe('the configuration’s reader tells a fault with its line:', () => {
  type Row = readonly [what: string, from: string, to: string, path: string, says: RegExp]
  const SECRET_RULE = /^must be either \{ env: NAME \} or \{ file: PATH \}; do not write a secret into this file$/
  const PREFIX =
    /at most 64 characters of A-Z, a-z, 0-9, "\/" and "-", without "\/\/"; .*, and one at the end is dropped$/
  const EITHER = /either azureCertificate, or subjectCommonNames and caCertificates/
  const AZURE = /not the output of az keyvault ekm-connection certificate show/
  const rows: readonly Row[] = [
    ['an unknown key at the top', 'limits:\n', 'tracing: on #!\nlimits:\n', 'tracing', /not a known setting; allowed here: listen, workers, reload, limits, info, admin, log, backends, pools/],
    ['an unknown key below', 'deadlineMs: 200', 'deadline: 200 #!', 'limits.deadline', /not a known setting; allowed here: deadlineMs, maxBodyBytes/],
    ['a mistyped key', 'deadlineMs: 200', 'deadlinesMs: 200 #!', 'limits.deadlinesMs', /allowed here: deadlineMs, .*; did you mean deadlineMs\?$/],
    ['a key that has nothing to do with any', 'deadlineMs: 200', 'colour: 200 #!', 'limits.colour', /drainMs$/],
    ['a backend of a mistyped kind', 'kind: software', 'kind: sofware #!', 'backends.store.kind', /kmip; did you mean software\?$/],
    ['an unknown key named like a JavaScript property', 'deadlineMs: 200', 'constructor: 200 #!', 'limits.constructor', /not a known setting/],
    ['an unknown key of a backend', 'directory: keys', 'directory: keys\n    slot: 1 #!', 'backends.store.slot', /allowed here: kind, directory, passphrase/],
    ['an unknown key of a client', 'azureCertificate: azure.json', 'azureCertificate: azure.json\n        cn: x #!', 'pools[0].clients[0].cn', /not a known setting/],
    ['an unknown key of a key', ...keys('\n      aes-1: {}\n      rsa-1:\n        label: x #!'), 'pools[0].keys.rsa-1.label', /not a known setting; allowed here: ref/],
    ['text for a number', 'port: 0', 'port: eight #!', 'listen.port', /whole number from 0 to 65535/],
    ['a number out of range', 'port: 0', 'port: 65536 #!', 'listen.port', /whole number from 0 to 65535/],
    ['a number that is neither whole nor in range', 'port: 0', 'port: -1.5 #!', 'listen.port', /whole number from 0 to 65535/],
    ['a number for text', 'name: contoso', 'name: 5 #!', 'pools[0].name', /must be text/],
    ['empty text', 'name: contoso', 'name: "" #!', 'pools[0].name', /must not be empty/],
    ['nothing', 'name: contoso', 'name: #!', 'pools[0].name', /must be text/],
    ['text for a mapping', 'limits:\n  deadlineMs: 200', 'limits: fast #!', 'limits', /must be a mapping; allowed here: deadlineMs/],
    ['a list for a mapping', 'limits:\n  deadlineMs: 200', 'limits: [] #!', 'limits', /must be a mapping; allowed here: deadlineMs/],
    ['a mapping for a list', CLIENTS, '    clients: { azureCertificate: azure.json } #!\n', 'pools[0].clients', /must be a list/],
    ['a word that is no choice', 'host: 127.0.0.1', 'clientAuth: optional #!', 'listen.clientAuth', /must be one of: required, handshake, disabled/],
    ['a network with too long a prefix', 'host: 127.0.0.1', 'proxyProtocol: [10.0.0.0/33] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['a network without a prefix', 'host: 127.0.0.1', 'proxyProtocol: [10.0.0.0/] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['a network with a mask', 'host: 127.0.0.1', 'proxyProtocol: [10.0.0.0/255.0.0.0] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['a host name for a network', 'host: 127.0.0.1', 'proxyProtocol: [balancer] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['an address with a zone', 'host: 127.0.0.1', 'proxyProtocol: ["fe80::1%eth0"] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['a number for an address', 'host: 127.0.0.1', 'proxyProtocol: [10] #!', 'listen.proxyProtocol[0]', /must be an IP address or a network, such as 10\.0\.0\.7, 10\.0\.0\.0\/8 or "fd00::\/8"/],
    ['one network, not in a list', 'host: 127.0.0.1', 'proxyProtocol: 10.0.0.0/8 #!', 'listen.proxyProtocol', /must be a list/],
    ['a log destination that is a number', 'limits:\n', 'log: { destination: 5 } #!\nlimits:\n', 'log.destination', /stdout, stderr or the path of a file/],
    ['a setting that is missing', '    backend: store\n', '', 'pools[0].backend', /is required/],
    ['a section that is missing', `  ${TLS}\n`, '', 'listen.tls', /is required/],
    ['a backend that is not there', 'backend: store', 'backend: hsm #!', 'pools[0].backend', /names no backend; there is: store/],
    ['a mistyped backend of a pool', 'backend: store', 'backend: stoer #!', 'pools[0].backend', /there is: store; did you mean store\?$/],
    ['a backend of an unknown kind', 'kind: software', 'kind: floppy #!', 'backends.store.kind', /kind is one of: software/],
    ['a backend without a kind', '  store:\n    kind: software\n', '  store: #!\n', 'backends.store.kind', /kind is one of: software/],
    ['a backend that is text', '  store:\n    kind: software\n    directory: keys\n    passphrase: { file: passphrase }\n', '  store: software #!\n', 'backends.store', /must be a mapping whose kind is one of: software/],
    ['a backend with a bad name', 'backends:\n', `backends:\n  a b: { kind: software, directory: x, ${SECRET} } #!\n`, 'backends.a b', /named with 1 to 64 characters/],
    ['a backend with an impossible name', 'backends:\n', `backends:\n  constructor: { kind: software, directory: x, ${SECRET} } #!\n`, 'backends.constructor', /^is a reserved name$/],
    ['an HSM without a token', ...hsm('module: m.so'), 'backends.hsm.token', /is required/],
    ['a token that says nothing', ...hsm('module: m.so, token: {}'), 'backends.hsm.token', /at least one of label, serial and slot, or a pkcs11: URI/],
    ['a token that is some text', ...hsm('module: m.so, token: ekm'), 'backends.hsm.token', /at least one of label, serial and slot, or a pkcs11: URI/],
    ['a PIN that is no reference', ...hsm(`module: m.so, token: { label: a }, pin: ${CANARY}`), 'backends.hsm.pin', SECRET_RULE],
    ['more sessions than there can be', ...hsm('module: m.so, token: { label: a }, sessions: 65'), 'backends.hsm.sessions', /whole number from 1 to 64/],
    ['text for a flag', ...hsm('module: m.so, token: { label: a }, requireSensitive: perhaps'), 'backends.hsm.requireSensitive', /true or false/],
    ['a mechanism for an unknown algorithm', ...hsm('module: m.so, token: { label: a }, mechanisms: { pin: { A128KW: 1 } }'), 'backends.hsm.mechanisms.pin.A128KW', /allowed here: A256KW, A256KWP, RSA-OAEP, RSA-OAEP-256/],
    ['a key manager without servers', ...kms('servers: []'), 'backends.kms.servers', /must not be empty/],
    ['a server with a bad port', ...kms('servers: ["kms.example:70000"]'), 'backends.kms.servers[0]', /host or host:port/],
    ['a server that is a number', ...kms('servers: [5696]'), 'backends.kms.servers[0]', /host or host:port, with an IPv6 address in brackets, or a mapping with address/],
    ['a protocol that nobody speaks', ...kms('servers: [a], protocol: "3.0"'), 'backends.kms.protocol', /must be one of: 1\.2, 1\.3, 1\.4, 2\.0, 2\.1/],
    ['a CA of a key manager that is text', ...kmsTls('ca: text.txt, certificate: server.pem, key: server.key'), 'backends.kms.tls.ca', /does not hold certificates in PEM or DER/],
    ['a CA of a key manager that is cut short', ...kmsTls('ca: cut.pem, certificate: server.pem, key: server.key'), 'backends.kms.tls.ca', /does not hold certificates in PEM or DER/],
    ['a certificate for a key manager that is text', ...kmsTls('ca: root.pem, certificate: text.txt, key: server.key'), 'backends.kms.tls', /the certificate is neither PEM nor DER/],
    ['a key for a key manager that is text', ...kmsTls('ca: root.pem, certificate: server.pem, key: text.txt'), 'backends.kms.tls', /the key is not a PEM file/],
    ['another key for a key manager', ...kmsTls('ca: root.pem, certificate: server.pem, key: other.key'), 'backends.kms.tls', /the key does not belong to the certificate/],
    ['an encrypted key for a key manager without its passphrase', ...kmsTls('ca: root.pem, certificate: server.pem, key: encrypted.key'), 'backends.kms.tls', /the key needs a passphrase/],
    ['an encrypted key for a key manager with another passphrase', ...kmsTls('ca: root.pem, certificate: server.pem, key: encrypted.key, passphrase: { file: text.txt }'), 'backends.kms.tls', /the passphrase is wrong/],
    ['ciphers that OpenSSL does not know', ...kmsTls('ca: root.pem, certificate: server.pem, key: server.key, ciphers: ROT13'), 'backends.kms.tls.ciphers', /names no cipher that OpenSSL has/],
    ['ciphers of one server that OpenSSL does not know', ...kms('servers: [{ address: a, ciphers: ROT13 }]'), 'backends.kms.servers[0].ciphers', /names no cipher that OpenSSL has/],
    ['a password that is no reference', ...kms(`servers: [a], credentials: { username: a, password: ${CANARY} }`), 'backends.kms.credentials.password', SECRET_RULE],
    ['an unknown way to have keys', ...kms('servers: [a], keyAccess: both'), 'backends.kms.keyAccess', /must be one of: server, export/],
    ['two pools of one name', ...anotherPool('name: contoso, pathPrefix: b'), 'pools[1].name', /name of another pool/],
    ['two pools of one prefix', ...anotherPool('name: b, pathPrefix: azureekm/contoso'), 'pools[1].pathPrefix', /is also the path prefix of pools\[0\]; /],
    ['two pools of one prefix in two spellings', ...anotherPool('name: b, pathPrefix: /azureekm/contoso/'), 'pools[1].pathPrefix', /is also the path prefix of pools\[0\]; a slash in front or at the end makes no difference$/],
    ['a prefix of 65 characters', ...prefix(`/${'p'.repeat(64)}`), 'pools[0].pathPrefix', PREFIX],
    ['a prefix of 65 characters, without its slash', ...prefix('p'.repeat(64)), 'pools[0].pathPrefix', PREFIX],
    ['a prefix with other characters', ...prefix('azure_ekm'), 'pools[0].pathPrefix', PREFIX],
    ['a prefix that is too long, with other characters', ...prefix('_'.repeat(65)), 'pools[0].pathPrefix', PREFIX],
    ['a prefix with an escape', ...prefix('a%2Fb'), 'pools[0].pathPrefix', PREFIX],
    ['a prefix with an empty segment', ...prefix('a//b'), 'pools[0].pathPrefix', PREFIX],
    ['a prefix with two slashes at its end', ...prefix('azureekm/contoso//'), 'pools[0].pathPrefix', PREFIX],
    ['a prefix of two slashes', ...prefix('//'), 'pools[0].pathPrefix', PREFIX],
    ['a prefix that is a number', ...prefix('5'), 'pools[0].pathPrefix', PREFIX],
    ['an empty list of clients', CLIENTS, '    clients: [] #!\n', 'pools[0].clients', /at least one client/],
    ['no list of clients', CLIENTS, '', 'pools[0].clients', /at least one client/],
    ['a client that says nothing', ...client(''), 'pools[0].clients[0]', EITHER],
    ['a client with names alone', ...client('subjectCommonNames: [a]'), 'pools[0].clients[0]', EITHER],
    ['a client with roots alone', ...client('caCertificates: [root.pem]'), 'pools[0].clients[0]', EITHER],
    ['a client told in both ways', ...client('azureCertificate: azure.json, subjectCommonNames: [a], caCertificates: [root.pem]'), 'pools[0].clients[0]', EITHER],
    ['a client with no names', ...client('subjectCommonNames: [], caCertificates: [root.pem]'), 'pools[0].clients[0].subjectCommonNames', /must not be empty/],
    ['a client without a root', ...client('subjectCommonNames: [a], caCertificates: [issuing.pem]'), 'pools[0].clients[0]', /no root CA.*self-signed/],
    ['a self-signed certificate that may not sign', ...client('subjectCommonNames: [a], caCertificates: [no-ca.pem]'), 'pools[0].clients[0]', /no root CA.*keyCertSign/],
    ['roots that are not there', ...client('subjectCommonNames: [a], caCertificates: [root.pem, gone.pem]'), 'pools[0].clients[0].caCertificates[1]', /cannot be read \(ENOENT\): .*gone\.pem/],
    ['roots that are not PEM', ...client('subjectCommonNames: [a], caCertificates: [text.txt]'), 'pools[0].clients[0].caCertificates[0]', /certificates in PEM or DER/],
    ['a damaged certificate among good ones', ...client('subjectCommonNames: [a], caCertificates: [cut.pem]'), 'pools[0].clients[0].caCertificates[0]', /certificates in PEM or DER/],
    ['a certificate without its end', ...client('subjectCommonNames: [a], caCertificates: [no-end.pem]'), 'pools[0].clients[0].caCertificates[0]', /certificates in PEM or DER/],
    ['azureCertificate that is not there', ...client('azureCertificate: gone.json'), 'pools[0].clients[0].azureCertificate', /ENOENT/],
    ['azureCertificate that is not JSON', ...client('azureCertificate: azure-text.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate of another shape', ...client('azureCertificate: azure-shape.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate without a name', ...client('azureCertificate: azure-nameless.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate without certificates', ...client('azureCertificate: azure-none.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate with something else inside', ...client('azureCertificate: azure-junk.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate with a damaged PEM inside', ...client('azureCertificate: azure-cut.json'), 'pools[0].clients[0].azureCertificate', AZURE],
    ['azureCertificate without a root', ...client('azureCertificate: azure-no-root.json'), 'pools[0].clients[0]', /no root CA/],
    ['keys that are text', ...keys('some #!'), 'pools[0].keys', /must be "all", or a mapping/],
    ['keys that are a list', ...keys('[aes-1, rsa-1] #!'), 'pools[0].keys', /must be "all", or a mapping/],
    ['a key with a bad name', ...keys('\n      aes-1: {}\n      aes_2: {} #!'), 'pools[0].keys.aes_2', /1 to 64 characters of A-Z, a-z, 0-9 and "-"/],
    ['a key with a long name', ...keys(`\n      aes-1: {}\n      ${'k'.repeat(65)}: {} #!`), `pools[0].keys.${'k'.repeat(65)}`, /1 to 64 characters/],
    ['a key with an impossible name', ...keys('\n      aes-1: {}\n      constructor: {} #!'), 'pools[0].keys.constructor', /^is a reserved name$/],
    ['a key that is text', ...keys('\n      aes-1: {}\n      rsa-1: here #!'), 'pools[0].keys.rsa-1', /must be a mapping; allowed here: ref/],
    ['a literal secret', ...secret(`${CANARY}-literal`), 'backends.store.passphrase', SECRET_RULE],
    ['a secret in a list', ...secret(`[${CANARY}-literal]`), 'backends.store.passphrase', SECRET_RULE],
    ['a secret under another name', ...secret(`{ value: ${CANARY}-literal }`), 'backends.store.passphrase', SECRET_RULE],
    ['a secret in braces', ...secret(`{ ${CANARY}-a, ${CANARY}-b }`), 'backends.store.passphrase', SECRET_RULE],
    ['a secret told in both ways', ...secret('{ env: HOME, file: passphrase }'), 'backends.store.passphrase', SECRET_RULE],
    ['a secret told in no way', ...secret('{}'), 'backends.store.passphrase', SECRET_RULE],
    ['a secret in place of its variable', ...secret(`{ env: ${CANARY}-variable }`), 'backends.store.passphrase', /variable that is not set/],
    ['a secret in an empty variable', ...secret('{ env: EMPTY }'), 'backends.store.passphrase', /variable that is not set/],
    ['a secret in place of its file', ...secret(`{ file: ${CANARY}-file }`), 'backends.store.passphrase.file', /cannot be read \(ENOENT\)$/],
    ['a secret in an empty file', ...secret('{ file: empty }'), 'backends.store.passphrase', /empty file/],
    ['a secret in a directory', ...secret('{ file: directory }'), 'backends.store.passphrase.file', /cannot be read \(EISDIR\)/],
    ['an admin token with spaces', 'limits:\n', 'admin:\n  token: { file: text.txt } #!\nlimits:\n', 'admin.token', /16 to 1024 characters of visible ASCII/],
    ['an admin token that is short', 'limits:\n', 'admin:\n  token: { env: SHORT } #!\nlimits:\n', 'admin.token', /16 to 1024 characters of visible ASCII/],
    ['an admin token that stands there', 'limits:\n', `admin:\n  token: ${CANARY} #!\nlimits:\n`, 'admin.token', SECRET_RULE],
    ['a certificate that is not there', ...tls('certificate: gone.pem, key: server.key'), 'listen.tls.certificate', /cannot be read \(ENOENT\): .*gone\.pem/],
    ['a certificate that is a directory', ...tls('certificate: directory, key: server.key'), 'listen.tls.certificate', /cannot be read \(EISDIR\)/],
    ['a certificate without a key', ...tls('certificate: server.pem'), 'listen.tls', /either certificate and key \(PEM\), or pkcs12/],
    ['certificates in both forms', ...tls('certificate: server.pem, key: server.key, pkcs12: open.p12'), 'listen.tls', /either certificate and key/],
    ['no certificate at all', ...tls(''), 'listen.tls', /either certificate and key/],
    ['the key of another certificate', ...tls('certificate: server.pem, key: other.key'), 'listen.tls', /key does not belong to the certificate/],
    ['a certificate that is not PEM', ...tls('certificate: text.txt, key: server.key'), 'listen.tls', /the certificate is neither PEM nor DER/],
    ['a key that is not PEM', ...tls('certificate: server.pem, key: text.txt'), 'listen.tls', /the key is not a PEM file/],
    ['certificate and key the wrong way round', ...tls('certificate: server.key, key: server.pem'), 'listen.tls', /the certificate is neither PEM nor DER/],
    ['an encrypted key without its passphrase', ...tls('certificate: server.pem, key: encrypted.key'), 'listen.tls', /needs a passphrase/],
    ['an encrypted key with a wrong passphrase', ...tls('certificate: server.pem, key: encrypted.key, passphrase: { env: WRONG }'), 'listen.tls', /passphrase is wrong/],
    ['an RSA certificate with an ECDSA key', ...tls('certificate: rsa.pem, key: server.key'), 'listen.tls', /key does not belong to the certificate/],
    ['a PKCS#12 file without a key', ...tls('pkcs12: keyless.p12'), 'listen.tls', /lacks a certificate or its private key/],
    ['a PKCS#12 file with a wrong passphrase', ...tls('pkcs12: server.p12, passphrase: { env: WRONG }'), 'listen.tls', /passphrase is wrong, or the file is not/],
    ['a PKCS#12 file without its passphrase', ...tls('pkcs12: server.p12'), 'listen.tls', /passphrase is wrong/],
    ['something else for a PKCS#12 file', ...tls('pkcs12: text.txt'), 'listen.tls', /not a PKCS#12 file/],
  ] /* prettier-ignore */ // one case a line

  /** Without a mark, a setting was left out. The message then names the line of the section that lacks it. */
  const around: Readonly<Record<string, string>> = {
    'pools[0].backend': '  - name',
    'pools[0].clients': '  - name',
    'listen.tls': 'listen:',
  }

  it.each<Row>(rows)('%s', async (_what, from, to, path, says) => {
    const yaml = changed(from, to)
    const file = await site.write(yaml)
    const [marked = yaml.split('\n').findIndex((line) => line.startsWith(around[path] ?? '?')) + 1] = markedLines(yaml)
    const environment = { EMPTY: '', SHORT: 'fifteen-letters', WRONG: `${CANARY}-wrong` }
    expect(problemsOf(file, environment)).toEqual([
      { where: file, line: marked, path, message: expect.stringMatching(says) as string },
    ])
  })

  it('all faults at once, in the order of the file', async () => {
    const yaml = `\
listen:
  port: 70000 #!
  tls: { certificate: gone.pem, key: server.key } #!
  cipher: weak #!
  colour: blue #!
limits: { deadlineMs: 0, fast: yes, furious: yes } #!
backends:
  store: { kind: software, directory: keys, passphrase: { ${CANARY}-literal }, slot: 1, pin: 2 } #!
pools:
  - name: a
    clients: [] #!
    backend: elsewhere #!
    keys: { "no good": {}, "neither is": {} } #!
  - name: a #!
    clients: [{ subjectCommonNames: [x], caCertificates: [text.txt, gone.pem] }] #!
    backend: store
    keys: all
`
    const file = await site.write(yaml)
    const problems = problemsOf(file)
    const lines = problems.map(({ line = 0 }) => line)
    expect(lines).toEqual([...lines].sort((a, b) => a - b))
    expect([...new Set(lines)]).toEqual(markedLines(yaml))
    expect(problems.filter(({ message }) => message.includes('do not write a secret'))).toHaveLength(1)
    expect(problems.map(({ path }) => path)).toEqual([
      'listen.port',
      'listen.tls.certificate',
      'listen.cipher',
      'listen.colour',
      'limits.deadlineMs',
      'limits.fast',
      'limits.furious',
      'backends.store.passphrase',
      'backends.store.slot',
      'backends.store.pin',
      'pools[0].clients',
      'pools[0].backend',
      'pools[0].keys.no good',
      'pools[0].keys.neither is',
      'pools[1].name',
      'pools[1].pathPrefix',
      'pools[1].clients[0].caCertificates[0]',
      'pools[1].clients[0].caCertificates[1]',
    ])
  })
})

describe('the configuration’s reader refuses', () => {
  const rows: readonly (readonly [what: string, yaml: string, line: number | undefined, path: string, says: RegExp])[] =
    [
      ['a syntax error', `listen:\n  port: 0\n ${CANARY}: [\n`, undefined, '', /is not valid YAML: /],
      ['a tab', `listen:\n\tport: ${CANARY}\n`, 2, '', /is not valid YAML: /],
      ['a key twice', `limits: {}\nlimits: { x: ${CANARY} }\n`, 2, '', /is not valid YAML: duplicate key/],
      ['a key twice, deep down', `backends:\n  a:\n    kind: software\n    kind: ${CANARY}\n`, 4, '', /duplicate key/],
      ['two documents', `a: 1\n---\nb: ${CANARY}\n`, 2, '', /multiple docs/],
      ['an alias without its anchor', `a: *${CANARY}\n`, undefined, '', /an alias has no anchor/],
      ['an empty file', '', 1, '', /must be a mapping; allowed here: listen/],
      ['a comment alone', '# nothing yet\n', 1, '', /must be a mapping; allowed here: listen/],
      ['a file of text', `${CANARY}\n`, 1, '', /must be a mapping; allowed here: listen/],
      ['a file that is a list', `- ${CANARY}\n`, 1, '', /must be a mapping; allowed here: listen/],
    ]

  it.each(rows)('%s', async (_what, yaml, line, path, says) => {
    const problems = problemsOf(await site.write(yaml))
    expect(problems[0]).toMatchObject({ path, message: expect.stringMatching(says) as string })
    if (line !== undefined) expect(problems[0]?.line).toBe(line)
  })

  it.each([
    ['missing', 'gone.yaml', /cannot be read \(ENOENT\)$/],
    ['a directory', 'directory', /cannot be read \(EISDIR\)$/],
  ])('a file that is %s', (_what, name, says) => {
    const file = site.workspace.path(name)
    expect(problemsOf(file)).toEqual([{ where: file, path: '', message: expect.stringMatching(says) as string }])
  })

  it('a fault behind anchors, folded lines and Windows line ends with its right line', async () => {
    const yaml = changed(
      'deadlineMs: 200',
      'deadlineMs: &n 200\n  keyCacheMs: *n\n  drainMs: >-\n    a\n    b',
    ).replaceAll('\n', '\r\n')
    expect(problemsOf(await site.write(yaml))).toMatchObject([{ path: 'limits.drainMs', line: 8 }])
  })
})

describe('a configuration that was read', () => {
  it('is frozen all the way down', async () => {
    const config = loadConfig(await site.write(GOOD), {})
    const visit = (value: unknown): void => {
      const prototype: unknown = typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined
      if (prototype !== Object.prototype && prototype !== Array.prototype) return
      expect(Object.isFrozen(value)).toBe(true)
      for (const member of Object.values(value as object)) visit(member)
    }
    visit(config)
    expect(() => Object.assign(config.limits, { deadlineMs: 1 })).toThrow(TypeError)
  })

  it.each([
    ['PEM', 'certificate: server.pem, key: encrypted.key, passphrase: { file: passphrase }'],
    ['PKCS#12', 'pkcs12: server.p12, passphrase: { env: P12 }'],
  ])('prints no key and no passphrase: %s', async (_what, members) => {
    const environment = { P12: PASSPHRASE }
    const config = loadConfig(await site.write(changed(...tls(members))), environment)
    const { pfx, key, passphrase } = config.listen.tls.secureContextOptions()
    expect(passphrase).toBe(PASSPHRASE)
    const options = { depth: null, showHidden: true, maxArrayLength: null, maxStringLength: null } as const
    const printed = `${inspect(config, options)} ${JSON.stringify(config)}`
    expect(printed).toContain('contoso')
    const secrets = [
      PASSPHRASE,
      'PRIVATE KEY',
      ...[pfx, key].filter((value) => Buffer.isBuffer(value)).flatMap((bytes) => spellings(bytes)),
    ]
    for (const spelling of [...secrets, ...spellings(Buffer.from(PASSPHRASE))]) expect(printed).not.toContain(spelling)
  })

  it('prints no private key in any form that it could be read in', async () => {
    const config = loadConfig(await site.write(GOOD), {})
    const { key } = config.listen.tls.secureContextOptions()
    const { d = '?' } = createPrivateKey(key as Buffer).export({ format: 'jwk' })
    const printed = inspect(config, { depth: null, showHidden: true }) + JSON.stringify(config)
    for (const spelling of spellings(Buffer.from(d, 'base64url'))) expect(printed).not.toContain(spelling)
  })
})

/** The start of `bytes` as a dump could show it: in hexadecimal, in either base64, and as a list of numbers. */
function spellings(bytes: Buffer): string[] {
  const start = bytes.subarray(0, 18)
  return [
    start.toString('hex'),
    inspect(start).slice(8, 40),
    start.toString('base64'),
    start.toString('base64url'),
    [...start].join(','),
    [...start].join(', '),
  ]
}

describe('the backends, read alone for a command,', () => {
  it('are read even if other sections are wrong', async () => {
    const yaml = changed(TLS, 'tls: { certificate: gone.pem, key: gone.key }').replace('azure.json', 'gone.json')
    const backends = loadBackends(await site.write(yaml), {})
    expect(Object.keys(backends)).toEqual(['store'])
  })

  it('are refused with their lines', async () => {
    const file = await site.write(changed('kind: software', 'kind: floppy #!'))
    expect(() => loadBackends(file, {})).toThrow(
      `${file}:9: backends.store.kind must be a mapping whose kind is one of`,
    )
  })
})
