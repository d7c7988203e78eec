import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { issue } from '../../support/pki.ts'
import { expectLine, FQDN, inDays, makeSite, openssl, type Checked, type Site } from './site.ts'

let site: Site
beforeAll(async () => {
  site = await makeSite(['configuration', 'certificate', 'clients', 'clock.plausible'])
})
afterAll(() => site.workspace.remove())

const only = ['configuration.valid', 'certificate']
const root = async (commonName: string) =>
  new X509Certificate((await issue({ commonName, usage: 'authority', notAfter: inDays(400) })).certificate)

/** The report's advice about one check. */
const advice = (checked: Checked, id: Parameters<Checked['all']>[0]) =>
  checked
    .all(id)
    .map(({ advice = '', command = '' }) => `${advice}: ${command}`)
    .join('\n')

describe('check, given another root than that of the chain as --server-ca,', () => {
  it('does not report the present issuing CA as missing', async () => {
    const checked = await site.check({}, { serverCa: [await root('other root')], only })
    expectLine(checked, 'certificate.chain-complete', 'problem', {
      found: /the file leads up to server root, which is not in --server-ca: that has other root/,
      advice: /if server root is the root, --server-ca is another one: tell Azure of server root/,
      command: /--server-ca-certificate ROOTS\.pem/,
    })
    expect(advice(checked, 'certificate.chain-complete')).not.toContain('ISSUING-CA.pem')
  })

  it('tells roots of the same name apart by their keys', async () => {
    const checked = await site.check({}, { serverCa: [await root('server root')], only })
    expectLine(checked, 'certificate.chain-complete', 'problem', {
      found: /server root of --server-ca did not issue server issuing CA: it has the name and another key/,
    })
  })

  it('reports both faults where the file has only one certificate', async () => {
    await site.workspace.write('alone.pem', site.pki.server.certificate)
    const listen = { tls: { certificate: 'alone.pem', key: 'server.key' } }
    const checked = await site.check({ listen }, { serverCa: [await root('other root')], only })
    expectLine(checked, 'certificate.chain-complete', 'problem', {
      found: /neither in .*alone\.pem nor in --server-ca: that has other root/,
      advice: /if server issuing CA is an issuing CA, append .*; if it is a root, tell Azure of that one/,
    })
  })
})

describe('check of a reversed chain', () => {
  it.each(['a key that can be read', 'a key that cannot be read'])(
    'judges the server’s own certificate, with %s',
    async (what) => {
      const { server, serverIssuer, serverRoot } = site.pki
      await site.workspace.write('reversed.pem', serverIssuer.certificate + server.certificate)
      const key = what.includes('cannot') ? 'locked.key' : 'server.key'
      openssl(
        site.workspace,
        'pkey',
        '-aes256',
        '-in',
        'server.key',
        '-out',
        'locked.key',
        '-passout',
        'file:passphrase',
      )
      const listen = { tls: { certificate: 'reversed.pem', key, passphrase: { file: 'passphrase' } } }
      const serverCa = [new X509Certificate(serverRoot.certificate)]
      const checked = await site.check({ listen }, { fqdn: FQDN, serverCa, only })
      expectLine(checked, 'certificate.name', 'ok', { found: /names ekm\.example\.com/ })
      expectLine(checked, 'certificate.usage', 'ok', { found: /a server certificate/ })
      expectLine(checked, 'certificate.chain-order', 'problem', { found: /own certificate is number 2/ })
      expectLine(checked, 'configuration.valid', 'problem', {
        found: /belongs to certificate number 2 .*put that first/,
      })
      expect(checked.text).not.toContain('reissued')
    },
  )
})

describe('check of a gateway that Azure calls by an address', () => {
  const withHosts = async (hosts: readonly string[]) => {
    const { serverIssuer } = site.pki
    const { certificate, key } = await issue(
      { commonName: FQDN, usage: 'server', hosts, notAfter: inDays(90) },
      serverIssuer,
    )
    await site.workspace.write('address.pem', certificate + serverIssuer.certificate)
    await site.workspace.write('address.key', key)
    return { listen: { tls: { certificate: 'address.pem', key: 'address.key' } } }
  }

  it('takes the address for the host', async () => {
    const checked = await site.check(await withHosts(['192.0.2.7']), { fqdn: '192.0.2.7', only })
    expectLine(checked, 'certificate.name', 'ok', { found: /names 192\.0\.2\.7/ })
  })

  it('explains how to use a certificate without it', async () => {
    const checked = await site.check(await withHosts([FQDN]), { fqdn: '192.0.2.7', only })
    expectLine(checked, 'certificate.name', 'problem', {
      found: /address 192\.0\.2\.7, but DNS/,
      advice: /--server-cn/,
    })
  })

  it.each([
    [FQDN, 'ok', /common name ekm\.example\.com, as Azure is told/],
    ['other.example.com', 'problem', /common name ekm\.example\.com, and not other\.example\.com/],
  ] as const)('compares the common name %s: %s', async (serverCn, status, found) => {
    const checked = await site.check(await withHosts([FQDN]), { fqdn: '192.0.2.7', serverCn, only })
    expectLine(checked, 'certificate.name', status, { found })
  })
})

it.each([
  [800, 'ahead'],
  [-800, 'behind'],
])('check names the clock first where it is %i days wrong', async (days) => {
  vi.useFakeTimers({ toFake: ['Date'], now: inDays(days) })
  try {
    const checked = await site.check({}, { fqdn: FQDN })
    const problems = checked.report.findings.filter(({ status }) => status === 'problem')
    expect(problems[0]).toMatchObject({ id: 'clock.plausible', command: 'date -u' })
    expectLine(checked, 'clock.plausible', 'problem', { found: /none of 3 certificates is valid; all are from/ })
    const told = ['certificate.expiry', 'clients.roots'].flatMap((id) => problems.filter((one) => one.id === id))
    expect(told.length).toBeGreaterThan(2)
    for (const one of told) expect(one.advice).toBe('is the clock right? see clock.plausible')
  } finally {
    vi.useRealTimers()
  }
})
