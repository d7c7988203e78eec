import { booleanOf, context, countOf, DerError, DerReader, elementsOf, hasBit, tags } from './der.ts'
import { distributionPointOf, type DistributionPoint } from './distribution-points.ts'
import { generalNameOf, type GeneralName, type Name } from './names.ts'

/** Extensions (RFC 5280 section 4.2) by object identifier. */
const oids = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  policyMappings: '2.5.29.33',
  authorityKeyIdentifier: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extKeyUsage: '2.5.29.37',
  inhibitAnyPolicy: '2.5.29.54',
} as const

/** The most names or subtrees. No CA that issues clients has more, and it bounds the cost of one certificate. */
const MAX_NAMES = 256
const MAX_POLICIES = 64
const MAX_POINTS = 32
/** RFC 5280 defines 17. */
const MAX_EXTENSIONS = 64

export interface KeyUsage {
  readonly digitalSignature: boolean
  readonly keyCertSign: boolean
  readonly cRLSign: boolean
}

export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export interface PolicyMapping {
  readonly issuerDomain: string
  readonly subjectDomain: string
}

/**
 * The extensions of a certificate, as far as path validation needs them. A member is undefined without its extension.
 */
export interface CertificateExtensions {
  readonly basicConstraints?: { readonly cA: boolean; readonly pathLen: number | undefined }
  readonly keyUsage?: KeyUsage
  readonly extKeyUsage?: readonly string[]
  readonly subjectAltName: readonly GeneralName[]
  readonly nameConstraints?: NameConstraints
  readonly policies?: readonly string[]
  readonly policyMappings: readonly PolicyMapping[]
  readonly requireExplicitPolicy?: number
  readonly inhibitPolicyMapping?: number
  readonly inhibitAnyPolicy?: number
  readonly distributionPoints: readonly DistributionPoint[]
  /** Hexadecimal. */
  readonly subjectKeyId?: string
  readonly authorityKeyId?: string
  readonly hasUnknownCriticalExtension: boolean
}

/** A certificate that is being read. */
type Draft = { readonly issuer: Name } & {
  -readonly [Member in keyof CertificateExtensions]: CertificateExtensions[Member]
}

/** An extension of a certificate, a list or one of its entries. */
export interface Extension {
  readonly oid: string
  readonly critical: boolean
  /** The content of the OCTET STRING. */
  readonly value: Buffer
}

/**
 * @param content of `Extensions`
 * @throws DerError for an extension that appears twice
 */
export function extensionsOf(content: Buffer): Extension[] {
  const seen = new Set<string>()
  return [...elementsOf(content, MAX_EXTENSIONS)].map((extension) => {
    const reader = new DerReader(extension.content)
    const oid = reader.oid()
    const critical = booleanOf(reader.optional(tags.boolean) ?? Buffer.of(0))
    const value = reader.take(tags.octetString)
    reader.end()
    if (seen.has(oid)) throw new DerError('an extension appears twice')
    seen.add(oid)
    return { oid, critical, value }
  })
}

/** Reads the extensions of a certificate. */
export function readExtensions(certificate: Draft, content: Buffer): void {
  for (const { oid, critical, value } of extensionsOf(content)) {
    const read = readers[oid]
    if (read !== undefined) read(certificate, value)
    else if (critical) certificate.hasUnknownCriticalExtension = true
  }
}

const only = (value: Buffer, tag: number): Buffer => {
  const reader = new DerReader(value)
  const content = reader.take(tag)
  reader.end()
  return content
}

/** At most `most` elements of a SEQUENCE that must be the whole value. */
const listOf = (value: Buffer, most: number) => [...elementsOf(only(value, tags.sequence), most)]

const readers: Readonly<Record<string, (certificate: Draft, value: Buffer) => void>> = {
  [oids.basicConstraints]: (certificate, value) => {
    const reader = new DerReader(only(value, tags.sequence))
    const cA = booleanOf(reader.optional(tags.boolean) ?? Buffer.of(0))
    const pathLen = reader.optional(tags.integer)
    reader.end()
    certificate.basicConstraints = { cA, pathLen: pathLen && countOf(pathLen) }
  },
  [oids.keyUsage]: (certificate, value) => {
    const bits = only(value, tags.bitString)
    certificate.keyUsage = { digitalSignature: hasBit(bits, 0), keyCertSign: hasBit(bits, 5), cRLSign: hasBit(bits, 6) }
  },
  [oids.extKeyUsage]: (certificate, value) => {
    certificate.extKeyUsage = listOf(value, MAX_POLICIES).map(({ encoding }) => new DerReader(encoding).oid())
  },
  [oids.subjectAltName]: (certificate, value) => {
    certificate.subjectAltName = listOf(value, MAX_NAMES).map(generalNameOf)
  },
  [oids.nameConstraints]: (certificate, value) => {
    const reader = new DerReader(only(value, tags.sequence))
    const permitted = subtreesOf(reader.optional(context(0, true)))
    const excluded = subtreesOf(reader.optional(context(1, true)))
    reader.end()
    certificate.nameConstraints = { permitted, excluded }
  },
  [oids.certificatePolicies]: (certificate, value) => {
    certificate.policies = listOf(value, MAX_POLICIES).map(({ content }) => new DerReader(content).oid())
  },
  [oids.policyMappings]: (certificate, value) => {
    certificate.policyMappings = listOf(value, MAX_POLICIES).map(({ content }) => {
      const reader = new DerReader(content)
      return { issuerDomain: reader.oid(), subjectDomain: reader.oid() }
    })
  },
  [oids.policyConstraints]: (certificate, value) => {
    const reader = new DerReader(only(value, tags.sequence))
    const [explicit, mapping] = [reader.optional(context(0)), reader.optional(context(1))]
    if (explicit) certificate.requireExplicitPolicy = countOf(explicit)
    if (mapping) certificate.inhibitPolicyMapping = countOf(mapping)
  },
  [oids.inhibitAnyPolicy]: (certificate, value) => {
    certificate.inhibitAnyPolicy = countOf(only(value, tags.integer))
  },
  [oids.cRLDistributionPoints]: (certificate, value) => {
    certificate.distributionPoints = listOf(value, MAX_POINTS).map(({ content }) =>
      distributionPointOf(content, certificate.issuer),
    )
  },
  [oids.subjectKeyIdentifier]: (certificate, value) => {
    certificate.subjectKeyId = only(value, tags.octetString).toString('hex')
  },
  [oids.authorityKeyIdentifier]: (certificate, value) => {
    const keyId = authorityKeyIdOf(value)
    if (keyId !== undefined) certificate.authorityKeyId = keyId
  },
}

/** The key identifier of an `AuthorityKeyIdentifier` in hexadecimal. */
export const authorityKeyIdOf = (value: Buffer): string | undefined =>
  new DerReader(only(value, tags.sequence)).optional(context(0))?.toString('hex')

function subtreesOf(content: Buffer | undefined): GeneralName[] {
  if (content === undefined) return []
  return [...elementsOf(content, MAX_NAMES)].map((subtree) => {
    const reader = new DerReader(subtree.content)
    const base = generalNameOf(reader.next())
    // RFC 5280 section 4.2.1.10: for every form of name, minimum is 0 and maximum is absent.
    reader.end()
    return base
  })
}
