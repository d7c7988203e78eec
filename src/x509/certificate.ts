import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import {
  booleanOf,
  context,
  countOf,
  DerError,
  DerReader,
  elementsOf,
  hasBit,
  tags,
  timeOf,
  wholeBytesOf,
} from './der.ts'
import { generalNameOf, generalNamesOf, nameOf, type GeneralName, type Name } from './names.ts'

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

/** A CA with more is not one that anybody issues clients by; a bound on what one certificate can make a verdict cost. */
const MAX_NAMES = 256
const MAX_POLICIES = 64
const MAX_POINTS = 32
/** Longer certificates are not read; RSA-4096 and a hundred names take 6 KiB. */
const MAX_BYTES = 16 * 1024

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

/** A point of `cRLDistributionPoints` (RFC 5280 section 4.2.1.13). */
export interface DistributionPoint {
  /** Absent if the point has none; a name relative to the issuer's is made whole. */
  readonly names?: readonly GeneralName[]
  /** Absent: all reasons. The bits are as they stand in `ReasonFlags`. */
  readonly reasons?: number
  readonly cRLIssuer?: readonly GeneralName[]
}

/** What a certificate says (RFC 5280 section 4), as far as a path is judged by it. */
export interface Certificate {
  readonly der: Buffer
  /** SHA-256, lower-case hexadecimal. */
  readonly fingerprint: string
  readonly version: 1 | 2 | 3
  /** Hexadecimal, as encoded. */
  readonly serialNumber: string
  readonly issuer: Name
  readonly subject: Name
  /** Milliseconds since the epoch. */
  readonly notBefore: number
  readonly notAfter: number
  /** `SubjectPublicKeyInfo`, DER. */
  readonly spki: Buffer
  /** What is signed. */
  readonly tbs: Buffer
  readonly signatureAlgorithm: Buffer
  readonly signature: Buffer
  /** Of the key: `undefined` if OpenSSL cannot read it. Read once. */
  readonly publicKey: KeyObject | undefined
  readonly isSelfIssued: boolean
  /** Absent without the extension, as for each below. */
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

type Draft = { -readonly [Member in keyof Certificate]: Certificate[Member] }

/** Throws a {@link DerError}. */
export function parseCertificate(der: Buffer): Certificate {
  if (der.length > MAX_BYTES) throw new DerError(`a certificate is longer than ${MAX_BYTES} bytes`)
  const whole = new DerReader(der)
  const outer = whole.sequence()
  whole.end()
  const signed = outer.element(tags.sequence)
  const signatureAlgorithm = outer.element(tags.sequence).encoding
  const signature = wholeBytesOf(outer.take(tags.bitString))
  outer.end()

  const tbs = new DerReader(signed.content)
  const version = versionOf(tbs.optional(context(0, true)))
  const serialNumber = tbs.take(tags.integer).toString('hex')
  if (!tbs.element(tags.sequence).encoding.equals(signatureAlgorithm)) {
    throw new DerError('the two signature algorithms differ')
  }
  const issuer = nameOf(tbs.take(tags.sequence))
  const validity = tbs.sequence()
  const [notBefore, notAfter] = [timeOf(validity.next()), timeOf(validity.next())]
  const subject = nameOf(tbs.take(tags.sequence))
  const spki = tbs.element(tags.sequence).encoding
  tbs.optional(context(1))
  tbs.optional(context(2))
  const extensions = tbs.optional(context(3, true))
  tbs.end()
  if (extensions !== undefined && version !== 3) throw new DerError('a certificate of this version has no extensions')

  let publicKey: KeyObject | null | undefined
  const certificate: Draft = {
    der,
    fingerprint: createHash('sha256').update(der).digest('hex'),
    version,
    serialNumber,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    tbs: signed.encoding,
    signatureAlgorithm,
    signature,
    get publicKey() {
      if (publicKey === undefined) publicKey = readKey(spki)
      return publicKey ?? undefined
    },
    isSelfIssued: issuer.key === subject.key,
    subjectAltName: [],
    policyMappings: [],
    distributionPoints: [],
    hasUnknownCriticalExtension: false,
  }
  if (extensions !== undefined) readExtensions(certificate, new DerReader(extensions).take(tags.sequence))
  return certificate
}

function versionOf(explicit: Buffer | undefined): Certificate['version'] {
  const number = explicit === undefined ? 0 : countOf(new DerReader(explicit).take(tags.integer))
  if (number > 2) throw new DerError('a certificate has version 1, 2 or 3')
  return (number + 1) as Certificate['version']
}

function readKey(spki: Buffer): KeyObject | null {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return null
  }
}

/** An extension of a certificate, a list or one of its entries. */
export interface Extension {
  readonly oid: string
  readonly critical: boolean
  /** Of the OCTET STRING. */
  readonly value: Buffer
}

/** @param content of `Extensions`. An extension that comes twice is an error. */
export function extensionsOf(content: Buffer): Extension[] {
  const seen = new Set<string>()
  return [...elementsOf(content)].map((extension) => {
    const reader = new DerReader(extension.content)
    const oid = reader.oid()
    const critical = booleanOf(reader.optional(tags.boolean) ?? Buffer.of(0))
    const value = reader.take(tags.octetString)
    reader.end()
    if (seen.has(oid)) throw new DerError('an extension comes twice')
    seen.add(oid)
    return { oid, critical, value }
  })
}

function readExtensions(certificate: Draft, content: Buffer): void {
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

/** At most `most` elements of a SEQUENCE that is the whole value. */
function listOf(value: Buffer, most: number) {
  const elements = [...elementsOf(only(value, tags.sequence))]
  if (elements.length > most) throw new DerError(`an extension has more than ${most} members`)
  return elements
}

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

/** The key identifier of an `AuthorityKeyIdentifier`, hexadecimal. */
export const authorityKeyIdOf = (value: Buffer): string | undefined =>
  new DerReader(only(value, tags.sequence)).optional(context(0))?.toString('hex')

function subtreesOf(content: Buffer | undefined): GeneralName[] {
  if (content === undefined) return []
  const subtrees = [...elementsOf(content)]
  if (subtrees.length > MAX_NAMES) throw new DerError(`a name constraint has more than ${MAX_NAMES} subtrees`)
  return subtrees.map((subtree) => {
    const reader = new DerReader(subtree.content)
    const base = generalNameOf(reader.next())
    // RFC 5280 section 4.2.1.10: minimum is 0 and maximum absent, for every form of name.
    reader.end()
    return base
  })
}

function distributionPointOf(content: Buffer, issuer: Name): DistributionPoint {
  const reader = new DerReader(content)
  const name = reader.optional(context(0, true))
  const reasons = reader.optional(context(1))
  const cRLIssuer = reader.optional(context(2, true))
  reader.end()
  const issuers = cRLIssuer && generalNamesOf(cRLIssuer)
  const [holder] = issuers?.flatMap((named) => (named.kind === 'directory' ? [named.name] : [])) ?? []
  return {
    ...(name && { names: pointNamesOf(name, holder ?? issuer) }),
    ...(reasons && { reasons: reasonsOf(reasons) }),
    ...(issuers && { cRLIssuer: issuers }),
  }
}

/** The names of a `DistributionPointName`; one relative to `issuer` is made whole. */
export function pointNamesOf(content: Buffer, issuer: Name): GeneralName[] {
  const reader = new DerReader(content)
  const full = reader.optional(context(0, true))
  if (full !== undefined) return generalNamesOf(full)
  const relative = reader.take(context(1, true))
  const last = nameOf(encodedSet(relative))
  const rdns = [...issuer.rdns, ...last.rdns]
  return [{ kind: 'directory', name: { ...last, rdns, key: JSON.stringify(rdns) } }]
}

/** A relative distinguished name as a SET again: in its place the tag was another. */
function encodedSet(content: Buffer): Buffer {
  if (content.length > 0xffff) throw new DerError('a relative name is too long')
  const long = content.length > 0xff
  const length = content.length < 0x80 ? [content.length] : long ? [0x82, content.length >> 8] : [0x81]
  if (content.length >= 0x80) length.push(content.length & 0xff)
  return Buffer.concat([Buffer.of(tags.set, ...length), content])
}

/** Bits of `ReasonFlags`, without bit 0, which means nothing. */
export function reasonsOf(content: Buffer): number {
  let reasons = 0
  for (let bit = 1; bit <= 8; bit += 1) if (hasBit(content, bit)) reasons |= 1 << bit
  return reasons
}

export const ALL_REASONS = 0x1fe
