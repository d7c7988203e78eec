import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { issue } from '../../support/pki.ts'
import { expectLine, FQDN, inDays, makeSite, openssl, makeCertificate, type Checked, type Site } from './site.ts'

let site: Site
let roots: readonly X509Certificate[]
beforeAll(async () => {
  site = await makeSite(['configuration', 'certificate'])
  roots = [new X509Certificate(site.pki.serverRoot.certificate)]
})
afterAll(() => site.workspace.remove())

/** Runs the check with another certificate file and another key. */
async function withFiles(certificate: string, key = site.pki.server.key): Promise<Checked> {
  await site.workspace.write('other.pem', certificate)
  await site.workspace.write('other.key', key)
  const tls = { certificate: 'other.pem', key: 'other.key' }
  return site.check({ listen: { tls } }, { fqdn: FQDN, serverCa: roots })
}

const serverOf = (changes: Partial<Parameters<typeof issue>[0]>) =>
  issue({ commonName: FQDN, usage: 'server', hosts: [FQDN], notAfter: inDays(300), ...changes }, site.pki.serverIssuer)

describe('check, given a good server certificate,', () => {
  it('reports that Managed HSM’s requirements are met', async () => {
    const checked = await site.check({}, { fqdn: FQDN, serverCa: roots })
    expect(checked.ids('problem')).toEqual([])
    expect(checked.all('certificate.expiry').map(({ status }) => status)).toEqual(['ok', 'ok'])
    expectLine(checked, 'certificate.azure', 'ok', { found: /chain, validity and name/ })
    expectLine(checked, 'certificate.chain-order', 'ok', { found: /2 certificates/ })
    expectLine(checked, 'certificate.signature', 'ok', { found: /ECDSA with SHA-256/, subject: FQDN })
  })

  it('judges only what is known of Azure', async () => {
    const checked = await site.check()
    expectLine(checked, 'certificate.name', 'not checked', { found: /DNS:ekm\.example\.com/, advice: /--fqdn/ })
    expectLine(checked, 'certificate.chain-complete', 'not checked', { found: /server root/, advice: /--server-ca/ })
    expectLine(checked, 'certificate.azure', 'not checked', {
      found: /certificate\.chain-complete, certificate\.name/,
      advice: /--fqdn HOST and --server-ca/,
    })
  })

  it('judges a PKCS#12 file by the chain that is sent', async () => {
    await site.workspace.write('issuer.pem', site.pki.serverIssuer.certificate)
    const [pair, out] = [
      ['-inkey', 'server.key', '-in', 'server.pem'],
      ['-out', 'server.p12', '-passout', 'file:passphrase'],
    ]
    openssl(site.workspace, 'pkcs12', '-export', ...pair, '-certfile', 'issuer.pem', ...out)
    const tls = { pkcs12: 'server.p12', passphrase: { file: 'passphrase' } }
    const checked = await site.check({ listen: { tls } }, { fqdn: FQDN, serverCa: roots })
    expect(checked.ids('problem')).toEqual([])
    expectLine(checked, 'certificate.chain-complete', 'ok', { found: /server root/ })
    expectLine(checked, 'certificate.chain-order', 'not checked', { found: /PKCS#12/, advice: /^$/ })
  })
})

describe('check reports a chain in which', () => {
  it('the server’s own certificate is not the first', async () => {
    const { server, serverIssuer } = site.pki
    const checked = await withFiles(serverIssuer.certificate + server.certificate)
    expectLine(checked, 'certificate.chain-order', 'problem', {
      found: /number 2 in .*other\.pem/,
      advice: /first/,
      command: /openssl storeutl .*other\.pem/,
    })
    expectLine(checked, 'certificate.key-match', 'ok', { found: /belongs/ })
    expect(checked.ids('problem')).toContain('configuration.valid')
  })

  it('the issuers are out of order', async () => {
    const { server, serverIssuer, serverRoot } = site.pki
    const checked = await withFiles(server.certificate + serverRoot.certificate + serverIssuer.certificate)
    expectLine(checked, 'certificate.chain-order', 'warning', { found: /number 2 .*server root, did not issue/ })
    expect(checked.ids('problem')).toEqual([])
  })

  it('an intermediate is missing', async () => {
    const checked = await withFiles(site.pki.server.certificate)
    expectLine(checked, 'certificate.chain-complete', 'problem', {
      found: /certificate of server issuing CA, which issued ekm\.example\.com, is neither/,
      command: /cat ISSUING-CA\.pem >> .*other\.pem/,
    })
    expectLine(checked, 'certificate.azure', 'problem', { found: /certificate\.chain-complete/ })
  })

  it('the root is another than the one that Azure was told', async () => {
    const other = new X509Certificate((await issue({ commonName: 'other root', usage: 'authority' })).certificate)
    const { server, serverIssuer, serverRoot } = site.pki
    await site.workspace.write('other.pem', server.certificate + serverIssuer.certificate + serverRoot.certificate)
    const tls = { certificate: 'other.pem', key: 'server.key' }
    const checked = await site.check({ listen: { tls } }, { serverCa: [other] })
    expectLine(checked, 'certificate.chain-complete', 'problem', {
      found: /root server root, which is not in --server-ca/,
      command: /az keyvault ekm-connection update .*--server-ca-certificate/,
    })
  })

  it('Azure was told an intermediate', async () => {
    const issuer = new X509Certificate(site.pki.serverIssuer.certificate)
    const checked = await site.check({}, { serverCa: [issuer] })
    expectLine(checked, 'certificate.chain-complete', 'warning', { found: /which is not a root/ })
  })

  it('a public CA’s certificate comes without its intermediate', async () => {
    const aia = ['-addext', 'authorityInfoAccess=caIssuers;URI:http://ca.example.com/ca.der']
    await site.workspace.write('root.pem', site.pki.serverRoot.certificate)
    await site.workspace.write('root.key', site.pki.serverRoot.key)
    const byRoot = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-CA', 'root.pem', '-CAkey', 'root.key']
    makeCertificate(site.workspace, 'aia', FQDN, ...byRoot, '-addext', 'basicConstraints=CA:false', ...aia)
    const checked = await site.check({ listen: { tls: { certificate: 'aia.pem', key: 'aia.key' } } })
    expectLine(checked, 'certificate.chain-complete', 'warning', {
      found: /the file holds only ekm\.example\.com/,
      command: /authorityInfoAccess/,
    })
  })
})

describe('check reports one fault of a server certificate:', () => {
  it('the key is another certificate’s', async () => {
    const stranger = await serverOf({})
    const checked = await withFiles(site.pki.server.certificate, stranger.key)
    expectLine(checked, 'certificate.key-match', 'problem', {
      found: /other\.key does not belong to .*other\.pem/,
      command: /openssl x509 .*; openssl pkey/,
    })
    expectLine(checked, 'configuration.valid', 'problem', { found: /listen\.tls .*does not belong/ })
  })

  it.each([
    ['problem', /ended on .*, 3 days ago/, { notBefore: inDays(-30), notAfter: inDays(-3) }],
    ['problem', /not valid before/, { notBefore: inDays(3) }],
    ['warning', /29 days left, fewer than 30/, { notAfter: inDays(29) }],
    ['ok', /31 days left/, { notAfter: inDays(31) }],
  ] as const)('its dates are wrong: %s, %s', async (status, found, dates) => {
    const { certificate, key } = await serverOf(dates)
    const checked = await withFiles(certificate + site.pki.serverIssuer.certificate, key)
    expectLine(checked, 'certificate.expiry', status, { found, subject: FQDN })
    expectLine(checked, 'certificate.expiry', 'ok', { found: /days left/, subject: 'server issuing CA' })
    expect(checked.ids('problem')).toEqual(status === 'problem' ? ['certificate.expiry', 'certificate.azure'] : [])
  })

  it('its intermediate has expired', async () => {
    const { serverRoot } = site.pki
    const dates = { notBefore: inDays(-30), notAfter: inDays(-2) }
    const issuer = await issue({ commonName: 'old CA', usage: 'authority', ...dates }, serverRoot)
    const leaf = await issue({ commonName: FQDN, usage: 'server', hosts: [FQDN], notAfter: inDays(90) }, issuer)
    const checked = await withFiles(leaf.certificate + issuer.certificate, leaf.key)
    expectLine(checked, 'certificate.expiry', 'problem', { found: /ended on/, subject: 'old CA', advice: /its CA/ })
  })

  it.each([
    [
      'another host',
      { hosts: ['other.example.com'], commonName: 'other.example.com' },
      'problem',
      /does not name ekm\.example\.com, but DNS:other/,
    ],
    ['the common name alone', { hosts: [] }, 'warning', /only the common name/],
    ['a wildcard', { hosts: ['*.example.com'] }, 'ok', /names ekm/],
  ] as const)('its name is wrong: %s', async (_what, changes, status, found) => {
    const { certificate, key } = await serverOf(changes)
    const checked = await withFiles(certificate + site.pki.serverIssuer.certificate, key)
    expectLine(checked, 'certificate.name', status, { found })
    expect(checked.ids('problem')).toEqual(status === 'problem' ? ['certificate.name', 'certificate.azure'] : [])
  })

  it('it is for a client', async () => {
    const { certificate, key } = await serverOf({ usage: 'client' })
    const checked = await withFiles(certificate + site.pki.serverIssuer.certificate, key)
    expectLine(checked, 'certificate.usage', 'problem', { found: /does not allow TLS servers/, subject: FQDN })
  })

  it.each([
    ['RSA of 1024 bits', ['rsa:1024'], 'certificate.public-key', 'problem', /RSA 1024 is too weak/],
    ['a SHA-1 signature', ['rsa:2048', '-sha1'], 'certificate.signature', 'problem', /SHA-1, which can be forged/],
    ['an unusual key', ['ed25519'], 'certificate.public-key', 'warning', /ed25519: Microsoft does not say/],
    ['its own CA', ['rsa:2048'], 'certificate.usage', 'warning', /signed itself/],
  ] as const)('it has %s', async (_what, args, id, status, found) => {
    const host = ['-addext', `subjectAltName=DNS:${FQDN}`]
    makeCertificate(site.workspace, 'weak', FQDN, '-newkey', ...args, ...host)
    const checked = await site.check({ listen: { tls: { certificate: 'weak.pem', key: 'weak.key' } } })
    expectLine(checked, id, status, { found, subject: FQDN })
  })
})
