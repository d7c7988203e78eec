import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { context, countOf, DerError, DerReader, tags, timeOf, wholeBytesOf } from './der.ts'
import { readExtensions, type CertificateExtensions } from './extensions.ts'
import { nameOf, type Name } from './names.ts'

/** Bytes. Longer certificates are not read; one with RSA-4096 and a hundred names takes 6 KiB. */
const MAX_BYTES = 16 * 1024

/** The contents of a certificate (RFC 5280 section 4), as far as path validation needs them. */
export interface Certificate extends CertificateExtensions {
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
  /** The signed bytes. */
  readonly tbs: Buffer
  readonly signatureAlgorithm: Buffer
  readonly signature: Buffer
  /** The public key, parsed once. Undefined if OpenSSL cannot read it. */
  readonly publicKey: KeyObject | undefined
  readonly isSelfIssued: boolean
}

/** @throws DerError */
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
  const certificate: Certificate = {
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
