import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CouldNotRun } from '../../../src/commands/check/could-not-run.ts'
import { CLIENT_CN, issue, type Authority } from '../../support/pki.ts'
import { makeList, type ListRequest } from '../../support/crl.ts'
import { expectLine, inDays, makeSite, makeCertificate, type Checked, type Site } from './site.ts'

let site: Site
let newRoot: Authority
beforeAll(async () => {
  site = await makeSite(['configuration', 'clients'])
  newRoot = await issue({ commonName: 'new root', usage: 'authority', notAfter: inDays(400) })
})
afterAll(() => site.workspace.remove())

const der = (pem: string) => new X509Certificate(pem).raw.toString('base64')

/** A pool with this allow-list, and the certificates that Azure shows. */
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

describe('check, reading the allow-list alone,', () => {
  it('says that a good one is ready', async () => {
    const checked = await site.check()
    expectLine(checked, 'clients.names', 'ok', { found: /contoso\.managedhsmclient.* under client root/ })
    expectLine(checked, 'clients.roots', 'ok', { found: /root client root: valid until/, subject: 'contoso' })
    expectLine(checked, 'clients.strength', 'ok', { found: /EC prime256v1/ })
    expectLine(checked, 'clients.shared', 'ok', { found: /there is 1/ })
  })

  it('reports a root that has expired', async () => {
    const checked = await withCa((await expired()).certificate)
    expectLine(checked, 'clients.roots', 'problem', {
      found: /old root: ended on .*, 7 days ago; no client can get in/,
      command: /az keyvault ekm-connection certificate show/,
    })
    expect(checked.ids('problem')).toEqual(['clients.roots'])
  })

  it('warns of an expired root beside a good one', async () => {
    const checked = await withCa((await expired()).certificate, ['client-root.pem'])
    expectLine(checked, 'clients.roots', 'warning', { found: /old root: ended on/ })
    expect(checked.ids('problem')).toEqual([])
  })

  it('warns of a root that expires soon', async () => {
    const soon = await issue({ commonName: 'soon', usage: 'authority', notAfter: inDays(10) })
    expectLine(await withCa(soon.certificate), 'clients.roots', 'warning', { found: /10 days left/ })
  })

  it('reports a weak root, and an issuing CA that could be forged', async () => {
    makeCertificate(site.workspace, 'weak', 'weak root', '-newkey', 'rsa:1024')
    const byWeak = ['-CA', 'weak.pem', '-CAkey', 'weak.key']
    makeCertificate(site.workspace, 'sha1', 'sha1 CA', '-newkey', 'rsa:2048', '-sha1', ...byWeak)
    const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['weak.pem', 'sha1.pem'] }]
    const checked = await site.check({ pools: [{ ...site.pool, clients }] })
    expectLine(checked, 'clients.strength', 'problem', { found: /weak root: RSA 1024 is too weak/ })
    expectLine(checked, 'clients.strength', 'problem', { found: /sha1 CA: .*SHA-1 is too weak/ })
  })

  it('warns where one client may use two pools', async () => {
    const pools = [site.pool, { ...site.pool, name: 'fabrikam', pathPrefix: 'azureekm/fabrikam' }]
    const checked = await site.check({ pools })
    expectLine(checked, 'clients.shared', 'warning', { found: /may use the pools contoso and fabrikam/ })
  })
})

describe('check, comparing the allow-list with azure-certificate files,', () => {
  it('finds no difference where they agree', async () => {
    const checked = await compare(listed, { cas: [site.pki.clientRoot.certificate] })
    expectLine(checked, 'clients.drift', 'ok', { found: /equals what Azure shows/, subject: 'contoso' })
  })

  it('reports that the client’s name has changed', async () => {
    const checked = await compare(listed, { commonName: 'contoso2', cas: [site.pki.clientRoot.certificate] })
    expectLine(checked, 'clients.drift', 'problem', {
      found: /now contoso2, .*it lists contoso\.managedhsmclient/,
      advice: /azureCertificate of pool contoso to .*fresh\.json$/,
    })
    expect(checked.ids('problem')).toEqual(['clients.drift'])
  })

  it('reports a root that was added, and one that was taken away', async () => {
    const checked = await compare(listed, { cas: [newRoot.certificate] })
    expectLine(checked, 'clients.drift', 'problem', { found: /new root new root, which the pool does not trust/ })
    expectLine(checked, 'clients.drift', 'warning', { found: /no longer has client root/ })
  })

  it('reports an issuing CA that was added', async () => {
    const issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, site.pki.clientRoot)
    const checked = await compare(listed, { cas: [site.pki.clientRoot.certificate, issuing.certificate] })
    expectLine(checked, 'clients.drift', 'warning', { found: /new issuing CA issuing CA/ })
  })

  it('says that it was given nothing to compare with', async () => {
    expectLine(await site.check(), 'clients.drift', 'not checked', {
      found: /no output of az was given/,
      advice: /--azure-certificate contoso=azure\.json/,
      command: /^az keyvault ekm-connection certificate show --hsm-name HSM > azure\.json$/,
    })
  })

  it('reports a file that is missing, is something else, or fits no pool', async () => {
    const pools = [site.pool, { ...site.pool, name: 'fabrikam', pathPrefix: 'f' }]
    const azure = { subjectCommonName: 'nobody', caCertificates: [der(newRoot.certificate)] }
    const unfit = await site.workspace.write('unfit.json', JSON.stringify(azure))
    const rows: readonly (readonly [string, RegExp])[] = [
      [site.workspace.path('nowhere.json'), /cannot be read \(ENOENT\)/],
      [site.workspace.path('passphrase'), /not the output of: az keyvault/],
      [unfit, /name the pool, as POOL=FILE; the pools are: contoso, fabrikam/],
    ]
    for (const [file, says] of rows) {
      const run = site.check({ pools }, { azureCertificates: [file] })
      await expect(run).rejects.toThrow(CouldNotRun)
      await expect(run).rejects.toThrow(says)
    }
  })
})

describe('check of revocation lists', () => {
  async function withLists(lists: readonly string[], whenStale = 'refuse'): Promise<Checked> {
    for (const [index, list] of lists.entries()) await site.workspace.write(`crl-${index}.pem`, list)
    const revocation = { lists: lists.map((_, index) => `crl-${index}.pem`), whenStale }
    const clients = [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-root.pem'], revocation }]
    return site.check({ pools: [{ ...site.pool, clients }] })
  }
  const ofRoot = (request: ListRequest = {}) => makeList(site.pki.clientRoot, request)

  it('says that no lists are configured', async () => {
    expectLine(await site.check(), 'clients.revocation', 'not checked', {
      found: /revocation of client certificates is not checked/,
      subject: 'contoso',
    })
  })

  it('says that current lists are ready', async () => {
    expectLine(await withLists([await ofRoot()]), 'clients.revocation', 'ok', {
      found: /the list of client root is current until/,
    })
  })

  it('warns of lists that expire soon', async () => {
    const list = await ofRoot({ thisUpdate: inDays(-7), nextUpdate: inDays(1) })
    expectLine(await withLists([list]), 'clients.revocation', 'warning', { found: /is current until/ })
  })

  it.each([
    ['refuse', 'problem', /clients of this CA are refused/],
    ['warn', 'warning', /clients of this CA are let in, even if they were revoked/],
  ] as const)(
    'reports lists that should have been replaced, or are of another CA: %s',
    async (whenStale, status, found) => {
      const old = await withLists([await ofRoot({ thisUpdate: inDays(-9), nextUpdate: inDays(-2) })], whenStale)
      expectLine(old, 'clients.revocation', status, { found })
      const other = await withLists([await makeList(newRoot)], whenStale)
      expectLine(other, 'clients.revocation', status, { found: /there is no revocation list of client root/ })
    },
  )

  const point = (...content: readonly number[]) =>
    new x509.Extension('2.5.29.28', true, Buffer.of(0x30, content.length, ...content))
  const yes = [1, 0xff]

  it.each([
    [
      'has a critical extension that is not known',
      new x509.Extension('2.999.1', true, Buffer.of(5, 0)),
      /critical extension/,
    ],
    ['covers CA certificates only', point(0x82, ...yes), /covers CA certificates only, so no list says which clients'/],
    ['covers attribute certificates only', point(0x85, ...yes), /covers attribute certificates only/],
    ['covers one reason only', point(0x83, 2, 6, 0x40), /covers some reasons for revocation only/],
  ])('reports a list that %s', async (_, extension, found) => {
    const list = await ofRoot({ more: [extension] })
    expectLine(await withLists([list]), 'clients.revocation', 'problem', { found })
    const warned = await withLists([list], 'warn')
    expectLine(warned, 'clients.revocation', 'warning', { found: /are let in, even if they were revoked/ })
  })

  it('asks for the list that is due, beside a current list of other certificates', async () => {
    const old = { thisUpdate: inDays(-9), nextUpdate: inDays(-2) }
    const due = /the list of client root was due to be replaced by .*; clients of this CA are refused/
    const ofCas = await ofRoot({ more: [point(0x82, ...yes)] })
    expectLine(await withLists([await ofRoot(old), ofCas]), 'clients.revocation', 'problem', { found: due })
    const [some, others] = [point(0x83, 2, 6, 0x40), point(0x83, 3, 7, 0x3f, 0x80)]
    const halves = [await ofRoot({ ...old, more: [some] }), await ofRoot({ more: [others] })]
    expectLine(await withLists(halves), 'clients.revocation', 'problem', { found: due })
  })

  it('says what an indirect list leaves open', async () => {
    const indirect = point(0x84, ...yes)
    const without = await withLists([await makeList(newRoot, { more: [indirect] })])
    expectLine(without, 'clients.revocation', 'not checked', {
      found: /there is no revocation list of client root; the indirect list of new root may cover it/,
    })
    const old = await ofRoot({ thisUpdate: inDays(-9), nextUpdate: inDays(-2) })
    const beside = await withLists([old, await makeList(newRoot, { more: [indirect] })])
    expectLine(beside, 'clients.revocation', 'warning', { found: /the list of client root was due to be replaced/ })
  })

  it('says that lists are ready that cover all reasons together, or one distribution point', async () => {
    const [some, others] = [point(0x83, 2, 6, 0x40), point(0x83, 3, 7, 0x3f, 0x80)]
    const both = [await ofRoot({ more: [some] }), await ofRoot({ more: [others] })]
    expectLine(await withLists(both), 'clients.revocation', 'ok', { found: /is current until/ })
    const one = await ofRoot({ more: [point(0xa0, 6, 0xa0, 4, 0x86, 2, 0x78, 0x3a)] })
    expectLine(await withLists([one]), 'clients.revocation', 'ok', { found: /is current until/ })
  })

  it('warns of lists whose CA is not configured', async () => {
    expectLine(await withLists([await ofRoot(), await makeList(newRoot)]), 'clients.revocation', 'warning', {
      found: /the list of new root counts only after a client has shown that CA's certificate/,
    })
  })

  it('reports lists that another CA signed', async () => {
    expectLine(await withLists([await ofRoot({ signer: newRoot })]), 'clients.revocation', 'problem', {
      found: /is not signed by the CA certificate of that name/,
    })
  })
})
