import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CouldNotRun } from '../../../src/commands/check/could-not-run.ts'
import { CLIENT_CN, issue, type Authority } from '../../support/pki.ts'
import { makeList, type ListRequest } from '../../support/crl.ts'
import { expectLine, inDays, makeSite, type Checked, type Site } from './site.ts'

let site: Site
let newRoot: Authority
beforeAll(async () => {
  site = await makeSite(['configuration', 'clients'])
  newRoot = await issue({ commonName: 'new root', usage: 'authority', notAfter: inDays(400) })
})
afterAll(() => site.workspace.remove())

const der = (pem: string) => new X509Certificate(pem).raw.toString('base64')

/** A pool that lists this, and what Azure shows. */
async function compare(listed: object, fresh: { commonName?: string; cas: readonly string[] }): Promise<Checked> {
  const azure = { subjectCommonName: fresh.commonName ?? CLIENT_CN, caCertificates: fresh.cas.map(der), extra: 1 }
  const file = await site.workspace.write('fresh.json', JSON.stringify(azure))
  const pools = [{ ...site.pool, clients: [listed] }]
  return site.check({ pools }, { azureCertificates: [`contoso=${file}`] })
}

async function withCa(pem: string, more: readonly string[] = []): Promise<Checked> {
  await site.workspace.write('ca.pem', pem)
  const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['ca.pem', ...more] }]
  return site.check({ pools: [{ ...site.pool, clients }] })
}

const listed = { subjectCommonNames: [CLIENT_CN], caCertificates: ['client-root.pem'] }
const expired = () =>
  issue({ commonName: 'old root', usage: 'authority', notBefore: inDays(-60), notAfter: inDays(-7) })

describe('the allow-list by itself', () => {
  it('is good', async () => {
    const checked = await site.check()
    expectLine(checked, 'clients.names', 'ok', { found: /contoso\.managedhsmclient.* under client root/ })
    expectLine(checked, 'clients.roots', 'ok', { found: /root client root: valid until/, subject: 'contoso' })
    expectLine(checked, 'clients.strength', 'ok', { found: /EC prime256v1/ })
    expectLine(checked, 'clients.shared', 'ok', { found: /there is 1/ })
  })

  it('has a root that has ended', async () => {
    const checked = await withCa((await expired()).certificate)
    expectLine(checked, 'clients.roots', 'problem', {
      found: /old root: ended on .*, 7 days ago; no client can get in/,
      command: /az keyvault ekm-connection certificate show/,
    })
    expect(checked.ids('problem')).toEqual(['clients.roots'])
  })

  it('has such a root beside a good one', async () => {
    const checked = await withCa((await expired()).certificate, ['client-root.pem'])
    expectLine(checked, 'clients.roots', 'warning', { found: /old root: ended on/ })
    expect(checked.ids('problem')).toEqual([])
  })

  it('has a root that ends soon', async () => {
    const soon = await issue({ commonName: 'soon', usage: 'authority', notAfter: inDays(10) })
    expectLine(await withCa(soon.certificate), 'clients.roots', 'warning', { found: /10 days left/ })
  })

  it('has a weak root, or an issuing CA that could be forged', async () => {
    const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: site.workspace.directory, stdio: 'pipe' })
    openssl('req', '-x509', '-nodes', '-days', '90', '-newkey', 'rsa:1024', '-subj', '/CN=weak root', '-keyout', 'weak.key', '-out', 'weak.pem')
    openssl('req', '-x509', '-nodes', '-days', '90', '-newkey', 'rsa:2048', '-sha1', '-subj', '/CN=sha1 CA', '-keyout', 'sha1.key', '-out', 'sha1.pem', '-CA', 'weak.pem', '-CAkey', 'weak.key')
    const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['weak.pem', 'sha1.pem'] }]
    const checked = await site.check({ pools: [{ ...site.pool, clients }] })
    expectLine(checked, 'clients.strength', 'problem', { found: /weak root: RSA 1024 is too weak/ })
    expectLine(checked, 'clients.strength', 'problem', { found: /sha1 CA: .*SHA-1 is too weak/ })
  }) // prettier-ignore

  it('lets one client use two pools', async () => {
    const pools = [site.pool, { ...site.pool, name: 'fabrikam', pathPrefix: 'azureekm/fabrikam' }]
    const checked = await site.check({ pools })
    expectLine(checked, 'clients.shared', 'warning', { found: /may use the pools contoso and fabrikam/ })
  })
})

describe('drift', () => {
  it('there is none', async () => {
    const checked = await compare(listed, { cas: [site.pki.clientRoot.certificate] })
    expectLine(checked, 'clients.drift', 'ok', { found: /what Azure shows/, subject: 'contoso' })
  })

  it('the client’s name has changed', async () => {
    const checked = await compare(listed, { commonName: 'contoso2', cas: [site.pki.clientRoot.certificate] })
    expectLine(checked, 'clients.drift', 'problem', {
      found: /now contoso2, .*it lists contoso\.managedhsmclient/,
      advice: /fresh\.json as the azureCertificate of pool contoso/,
    })
    expect(checked.ids('problem')).toEqual(['clients.drift'])
  })

  it('a root was added, one was taken away', async () => {
    const checked = await compare(listed, { cas: [newRoot.certificate] })
    expectLine(checked, 'clients.drift', 'problem', { found: /new root new root, which the pool does not trust/ })
    expectLine(checked, 'clients.drift', 'warning', { found: /no longer has client root/ })
  })

  it('an issuing CA was added', async () => {
    const issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, site.pki.clientRoot)
    const checked = await compare(listed, { cas: [site.pki.clientRoot.certificate, issuing.certificate] })
    expectLine(checked, 'clients.drift', 'warning', { found: /new issuing CA issuing CA/ })
  })

  it('nothing is given to compare with', async () => {
    expectLine(await site.check(), 'clients.drift', 'not checked', {
      found: /nothing to compare/,
      advice: /--azure-certificate contoso=azure\.json/,
      command: /^az keyvault ekm-connection certificate show --hsm-name HSM > azure\.json$/,
    })
  })

  it('a file is missing, is something else, or fits no pool', async () => {
    const pools = [site.pool, { ...site.pool, name: 'fabrikam', pathPrefix: 'f' }]
    const azure = { subjectCommonName: 'nobody', caCertificates: [der(newRoot.certificate)] }
    const unfit = await site.workspace.write('unfit.json', JSON.stringify(azure))
    const rows: readonly (readonly [string, RegExp])[] = [
      [site.workspace.path('nowhere.json'), /cannot be read \(ENOENT\)/],
      [site.workspace.path('passphrase'), /not what this prints: az keyvault/],
      [unfit, /say for which pool, as POOL=FILE; there are: contoso, fabrikam/],
    ]
    for (const [file, says] of rows) {
      const run = site.check({ pools }, { azureCertificates: [file] })
      await expect(run).rejects.toThrow(CouldNotRun)
      await expect(run).rejects.toThrow(says)
    }
  })
})

describe('revocation lists', () => {
  async function withLists(lists: readonly string[], whenStale = 'refuse'): Promise<Checked> {
    for (const [index, list] of lists.entries()) await site.workspace.write(`crl-${index}.pem`, list)
    const revocation = { lists: lists.map((_, index) => `crl-${index}.pem`), whenStale }
    const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-root.pem'], revocation }]
    return site.check({ pools: [{ ...site.pool, clients }] })
  }
  const ofRoot = (request: ListRequest = {}) => makeList(site.pki.clientRoot, request)

  it('are not there', async () => {
    expectLine(await site.check(), 'clients.revocation', 'not checked', { found: /nobody asks/, subject: 'contoso' })
  })

  it('are current', async () => {
    expectLine(await withLists([await ofRoot()]), 'clients.revocation', 'ok', {
      found: /the list of client root is current until/,
    })
  })

  it('end soon', async () => {
    const list = await ofRoot({ thisUpdate: inDays(-7), nextUpdate: inDays(1) })
    expectLine(await withLists([list]), 'clients.revocation', 'warning', { found: /is current until/ })
  })

  it.each([
    ['refuse', 'problem', /its clients are refused/],
    ['warn', 'warning', /its clients get in, also those that were revoked/],
  ] as const)('should have been replaced, or are of another CA: %s', async (whenStale, status, found) => {
    const old = await withLists([await ofRoot({ thisUpdate: inDays(-9), nextUpdate: inDays(-2) })], whenStale)
    expectLine(old, 'clients.revocation', status, { found })
    const other = await withLists([await makeList(newRoot)], whenStale)
    expectLine(other, 'clients.revocation', status, { found: /no list tells which certificates client root revoked/ })
  })

  it('are signed by another', async () => {
    expectLine(await withLists([await ofRoot({ signer: newRoot })]), 'clients.revocation', 'problem', {
      found: /is not signed by the CA certificate of that name/,
    })
  })
})
