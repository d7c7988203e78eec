import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts'
import { RevocationList } from '../../src/x509/crl.ts'
import { DerError, DerReader } from '../../src/x509/der.ts'
import { Revocation } from '../../src/x509/revocation.ts'
import { PathSearch, ClientChecks, SearchChecks } from '../../src/x509/search.ts'
import { modernSignatures, type SignatureRules } from '../../src/x509/signature.ts'
import { issuersOf } from './support.ts'

/**
 * NIST's Public Key Interoperability Test Suite (public domain). `test/vectors/pkits` has its certificates and lists.
 * `expected.json` has the validator's required verdict on each test.
 */
const folder = new URL('../vectors/pkits/', import.meta.url)

interface Case {
  readonly id: string
  readonly name: string
  readonly certificate: string
  readonly intermediates: readonly string[]
  readonly crls: readonly string[]
  readonly policyInputs: boolean
  readonly valid: boolean
}

const cases = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as Case[]
const bytes = (path: string) => readFileSync(new URL(path, folder))
const certificate = (name: string) => parseCertificate(bytes(`certs/${name}`))
/** A time at which the suite's certificates are valid. */
const NOW = Date.UTC(2024, 5, 1)

/** The product's rules, and DSA with SHA-1, which three tests of the suite use and the product refuses. */
const withDsa = (all: readonly Certificate[]): SignatureRules => ({
  costMs: (issuer) => modernSignatures.costMs(issuer),
  isStrong: (candidate) => isDsa(candidate) || modernSignatures.isStrong(candidate),
  verify: async (signed, issuer) => {
    const key = isDsa(issuer) ? dsaKeyOf(issuer, all) : undefined
    return key === undefined
      ? modernSignatures.verify(signed, issuer)
      : verify('sha1', signed.tbs, key, signed.signature)
  },
})

const DSA = '1.2.840.10040.4.1'
const isDsa = ({ spki }: Certificate) => new DerReader(spki).sequence().sequence().oid() === DSA

/** A DSA key may inherit its issuer's parameters (RFC 3279 section 2.3.2). */
function dsaKeyOf(issuer: Certificate, all: readonly Certificate[]): KeyObject {
  if (issuer.publicKey !== undefined && issuer.publicKey.asymmetricKeyDetails?.modulusLength) return issuer.publicKey
  const parent = all.find(({ subject }) => subject.key === issuer.issuer.key) as Certificate
  const algorithm = new DerReader(parent.spki).sequence().element(0x30).encoding
  const reader = new DerReader(issuer.spki).sequence()
  reader.next()
  const key = reader.element(0x03).encoding
  const length = algorithm.length + key.length
  const spki = Buffer.concat([Buffer.of(0x30, 0x82, length >> 8, length & 0xff), algorithm, key])
  return createPublicKey({ key: spki, format: 'der', type: 'spki' })
}

async function judge({ certificate: name, intermediates, crls }: Case, rules = withDsa): Promise<string> {
  try {
    const anchor = certificate('TrustAnchorRootCertificate.crt')
    const others = intermediates.map(certificate)
    const lists = ['TrustAnchorRootCRL.crl', ...crls].map((list) => new RevocationList(bytes(`crls/${list}`)))
    const search = new PathSearch({
      issuers: issuersOf([anchor], others),
      checks: new SearchChecks(new ClientChecks(rules([anchor, ...others]), async () => undefined)),
      revocation: new Revocation(lists, 'refuse'),
      now: NOW,
    })
    const found = await search.find(certificate(name), 'clientAuth')
    return 'certificates' in found ? 'valid' : found.refusal
  } catch (error) {
    if (error instanceof DerError) return 'malformed'
    throw error
  }
}

/** The subject of each section of the suite. */
const REFUSALS: Readonly<Record<string, readonly string[]>> = {
  // In two of its bad signatures the suite changed the byte that counts unused bits.
  '401': ['SIGNATURE_INVALID', 'malformed'],
  '402': ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'],
  '403': ['ISSUER_UNKNOWN'],
  '404': ['CERT_REVOKED', 'REVOCATION_UNKNOWN', 'malformed'],
  '405': ['CERT_REVOKED', 'ISSUER_NOT_A_CA'],
  '406': ['ISSUER_NOT_A_CA', 'PATH_TOO_LONG'],
  '407': ['USAGE_NOT_PERMITTED', 'REVOCATION_UNKNOWN'],
  '408': ['POLICY_NOT_PERMITTED'],
  '409': ['POLICY_NOT_PERMITTED'],
  '410': ['POLICY_NOT_PERMITTED'],
  '411': ['POLICY_NOT_PERMITTED'],
  '412': ['POLICY_NOT_PERMITTED'],
  '413': ['NAME_NOT_PERMITTED'],
  '414': ['CERT_REVOKED', 'REVOCATION_UNKNOWN'],
  '415': ['CERT_REVOKED', 'REVOCATION_UNKNOWN'],
  '416': ['CRITICAL_EXTENSION_UNKNOWN'],
}

/** Each test sets an initial explicit-policy, policy-mapping-inhibit, inhibit-any-policy or policy set. */
/* prettier-ignore */ // one case a line
const LEFT_OUT = ['40801', '40801', '40801', '40801', '40801', '40802', '40803', '40803', '40806', '40806', '40806', '40810', '40810', '40811', '40813', '40813', '40813', '40813', '40814', '40814', '40814', '41001', '41001', '41001', '41001', '41002', '41003', '41003', '41005', '41005', '41006', '41006', '41203']

describe('the path validator, by NIST’s PKITS,', () => {
  const asked = cases.filter(({ policyInputs }) => !policyInputs)

  it.each(asked)('finds $id $name valid: $valid', async (question) => {
    const verdict = await judge(question)
    expect([verdict, verdict === 'valid']).toEqual([verdict, question.valid])
    // An invalid path must be refused for the reason under test, and not for another fault.
    if (!question.valid) expect(REFUSALS[question.id.slice(0, 3)]).toContain(verdict)
  })

  it('leaves out exactly the tests that need policy inputs, which the product does not have', () => {
    expect([cases.length, asked.length]).toEqual([246, 213])
    expect(cases.filter(({ policyInputs }) => policyInputs).map(({ id }) => id)).toEqual(LEFT_OUT)
  })

  it.each(['valid_dsa_signatures_test4', 'valid_dsa_parameter_inheritance_test5'])('refuses %s', async (name) => {
    const question = cases.find((candidate) => candidate.name === name) as Case
    expect(await judge(question, () => modernSignatures)).toBe('KEY_NOT_ALLOWED')
  })
})
