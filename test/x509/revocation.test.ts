import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Certificate } from '../../src/x509/certificate.ts'
import { RevocationList } from '../../src/x509/crl.ts'
import { Revocation } from '../../src/x509/revocation.ts'
import { PathSearch, ClientChecks, SearchChecks } from '../../src/x509/search.ts'
import { modernSignatures } from '../../src/x509/signature.ts'
import { parsed } from '../support/certify.ts'
import { derOf, makeList, type ListRequest } from '../support/crl.ts'
import { issue, makeClient, type Authority, type Identity } from '../support/pki.ts'
import { issuersOf } from './support.ts'

const NOW = Date.now()
const issuing = (root: Authority) => issue({ commonName: 'issuing CA', usage: 'authority' }, root)

const revocationBy = (lists: readonly string[]) =>
  new Revocation(
    lists.map((list) => new RevocationList(derOf(list))),
    'refuse',
  )

/** Searches a path from a certificate to the first of the configured certificates. */
async function search(
  leaf: Identity,
  configured: readonly Identity[],
  lists: readonly string[],
  others: readonly Identity[] = [],
  revocation = revocationBy(lists),
) {
  const [certificate, ...anchors] = [leaf, ...configured].map(parsed) as [Certificate, ...Certificate[]]
  const memory = new ClientChecks(modernSignatures, async () => undefined)
  const found = await new PathSearch({
    issuers: { ...issuersOf(anchors, others.map(parsed)), isAnchor: (other) => other === anchors[0] },
    checks: new SearchChecks(memory),
    revocation,
    now: NOW,
  }).find(certificate, 'clientAuth')
  return { verdict: 'certificates' in found ? 'found' : found.refusal, checks: memory.made }
}

it('a search asks the CA that a revocation list names by key before others of its name', async () => {
  const root = await issue({ commonName: 'root', usage: 'authority' })
  const [old, ...others] = await Promise.all(Array.from({ length: 7 }, () => issuing(root)))
  const renewed = await issuing(root)
  const by = await x509.AuthorityKeyIdentifierExtension.create(renewed.issuer.keys.publicKey)
  const lists = [await makeList(root), await makeList(renewed, { more: [by] })]
  const configured = [root, old as Authority, ...others, renewed]
  // The leaf, its issuer, a list of each of the two names, that the old CA did not sign it, and the path of the new CA.
  expect(await search(await makeClient(old), configured, lists)).toEqual({ verdict: 'found', checks: 6 })
})

it('that a key signed a list is found out once, whatever certificates a client makes for the key', async () => {
  const root = await issue({ commonName: 'root', usage: 'authority' })
  const [old, renewed] = [await issuing(root), await issuing(root)]
  const { keys, name } = old.issuer
  const again = async (): Promise<Identity> => ({
    certificate: (
      await x509.X509CertificateGenerator.create({
        subject: name,
        issuer: name,
        publicKey: keys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
      })
    ).toString('pem'),
    key: '',
  })
  const lists = [await makeList(root), await makeList(old)]
  const revocation = revocationBy(lists)
  const leaf = await makeClient(renewed)
  const checks = async () => (await search(leaf, [root, renewed], lists, [await again()], revocation)).checks
  const first = await checks()
  // Neither that of the root's list is asked again, nor that of the other.
  expect(await checks()).toBe(first - 2)
  expect(await checks()).toBe(first - 2)
})

describe('a CA that was renewed with a new key', () => {
  let root: Authority
  let old: Authority
  let renewed: Authority
  let leaf: Identity
  beforeAll(async () => {
    root = await issue({ commonName: 'root', usage: 'authority' })
    old = await issuing(root)
    renewed = await issuing(root)
    leaf = await makeClient(old)
  })

  const withKeyId = async (by: Authority, request: ListRequest) =>
    makeList(by, { more: [await x509.AuthorityKeyIdentifierExtension.create(by.issuer.keys.publicKey)], ...request })
  const verdictBy = async (...lists: readonly Promise<string>[]) =>
    (await search(leaf, [root, old, renewed], [await makeList(root), ...(await Promise.all(lists))])).verdict
  const past = () => new Date(NOW - 60_000)

  it('withdraws by the list of one key no revocation in the list of the other', async () => {
    const naming = withKeyId(old, { number: 6, revoked: [leaf] })
    expect(await verdictBy(naming, withKeyId(renewed, { number: 7 }))).toBe('CERT_REVOKED')
    const unnumbered = withKeyId(old, { revoked: [leaf], thisUpdate: new Date(NOW - 7_200_000) })
    expect(await verdictBy(unnumbered, withKeyId(renewed, {}))).toBe('CERT_REVOKED')
    const removing = withKeyId(renewed, { number: 7, base: 6, removed: [leaf] })
    expect(await verdictBy(naming, removing, withKeyId(renewed, { number: 7 }))).toBe('CERT_REVOKED')
    expect(await verdictBy(naming, withKeyId(old, { number: 7 }))).toBe('found')
    expect(await verdictBy(naming, withKeyId(old, { number: 7, base: 6, removed: [leaf] }))).toBe('found')
    // It adds to a later list than this one (RFC 5280 section 5.2.4).
    expect(await verdictBy(naming, withKeyId(old, { number: 9, base: 8, removed: [leaf] }))).toBe('CERT_REVOKED')
  })

  it('may use one list for the certificates of both keys, or one list for each key', async () => {
    expect(await verdictBy(withKeyId(renewed, {}))).toBe('found')
    expect(await verdictBy(withKeyId(renewed, {}), withKeyId(old, {}))).toBe('found')
    expect(await verdictBy(withKeyId(renewed, {}), withKeyId(old, { nextUpdate: past() }))).toBe('REVOCATION_UNKNOWN')
    expect(await verdictBy(withKeyId(renewed, { revoked: [leaf] }), withKeyId(old, {}))).toBe('CERT_REVOKED')
  })
})
