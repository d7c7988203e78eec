import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'

/** A certificate and its private key, both PEM. */
export interface Identity {
  readonly certificate: string
  readonly key: string
}

/** An identity that can issue others. */
export interface Authority extends Identity {
  readonly issuer: Issuer
}

interface Issuer {
  /** The subject, a DER `Name`. */
  readonly name: Buffer
  readonly privateKey: KeyObject
  /** SHA-1 of the public key (RFC 5280 section 4.2.1.2, method 1). */
  readonly keyId: Buffer
}

export interface CertificateRequest {
  readonly commonName: string
  readonly usage: 'authority' | 'server' | 'client'
  /** DNS names for a server's subject alternative name. */
  readonly hosts?: readonly string[]
  readonly notBefore?: Date
  readonly notAfter?: Date
}

const HOUR_MS = 3_600_000
const LIFETIME_MS = 7 * 24 * HOUR_MS

/** Object identifiers, with tag and length. */
const oid = {
  ecdsaWithSha256: Buffer.from('06082a8648ce3d040302', 'hex'),
  commonName: Buffer.from('0603550403', 'hex'),
  subjectKeyIdentifier: Buffer.from('0603551d0e', 'hex'),
  keyUsage: Buffer.from('0603551d0f', 'hex'),
  subjectAlternativeName: Buffer.from('0603551d11', 'hex'),
  basicConstraints: Buffer.from('0603551d13', 'hex'),
  authorityKeyIdentifier: Buffer.from('0603551d23', 'hex'),
  extendedKeyUsage: Buffer.from('0603551d25', 'hex'),
  server: Buffer.from('06082b06010505070301', 'hex'),
  client: Buffer.from('06082b06010505070302', 'hex'),
} as const

/** Issues a certificate (RFC 5280) with a new ECDSA P-256 key. Without `authority` it is self-signed. */
export function issue(request: CertificateRequest, authority?: Authority): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subjectPublicKeyInfo = publicKey.export({ type: 'spki', format: 'der' })
  // The BIT STRING of a P-256 key is an uncompressed point, the last 65 bytes.
  const keyId = createHash('sha1').update(subjectPublicKeyInfo.subarray(-65)).digest()
  const own: Issuer = { name: nameOf(request.commonName), privateKey, keyId }
  const issuer = authority?.issuer ?? own
  const { notBefore = new Date(Date.now() - HOUR_MS), notAfter = new Date(Date.now() + LIFETIME_MS) } = request
  const algorithm = sequence(oid.ecdsaWithSha256)
  const toBeSigned = sequence(
    element(0xa0, integer(Buffer.of(2))),
    integer(Buffer.concat([Buffer.of(1), randomBytes(8)])),
    algorithm,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    own.name,
    subjectPublicKeyInfo,
    element(0xa3, sequence(...extensionsOf(request), ...keyIdentifiers(keyId, issuer.keyId))),
  )
  const signature = sign('sha256', toBeSigned, issuer.privateKey)
  const certificate = sequence(toBeSigned, algorithm, bitString(signature))
  return {
    certificate: pem('CERTIFICATE', certificate),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    issuer: own,
  }
}

function extensionsOf({ usage, hosts = [] }: CertificateRequest): Buffer[] {
  if (usage === 'authority') {
    // keyCertSign and cRLSign.
    return [extension(oid.basicConstraints, sequence(TRUE), true), extension(oid.keyUsage, bitString([0x06], 1), true)]
  }
  const names = hosts.map((host) => element(0x82, Buffer.from(host)))
  return [
    extension(oid.basicConstraints, sequence(), true),
    // digitalSignature.
    extension(oid.keyUsage, bitString([0x80], 7), true),
    extension(oid.extendedKeyUsage, sequence(oid[usage])),
    ...(names.length > 0 ? [extension(oid.subjectAlternativeName, sequence(...names))] : []),
  ]
}

const keyIdentifiers = (subject: Buffer, issuer: Buffer) => [
  extension(oid.subjectKeyIdentifier, element(0x04, subject)),
  extension(oid.authorityKeyIdentifier, sequence(element(0x80, issuer))),
]

const extension = (id: Buffer, value: Buffer, critical = false) =>
  sequence(id, ...(critical ? [TRUE] : []), element(0x04, value))

const nameOf = (commonName: string) =>
  sequence(element(0x31, sequence(oid.commonName, element(0x0c, Buffer.from(commonName)))))

/**
 * An INTEGER of these bytes. The first byte must be from 1 to 127: the number is then positive and in its shortest
 * form.
 */
const integer = (bytes: Uint8Array) => element(0x02, bytes)

const bitString = (bytes: Iterable<number>, unusedBits = 0) =>
  element(0x03, Buffer.of(unusedBits), Buffer.from([...bytes]))

/** UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5). */
function time(date: Date): Buffer {
  const text = `${date.toISOString().replace(/\D/g, '').slice(0, 14)}Z`
  return date.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(text.slice(2))) : element(0x18, Buffer.from(text))
}

const sequence = (...parts: readonly Uint8Array[]) => element(0x30, ...parts)

function element(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...(length < 0x80 ? [length] : long)), content])
}

const TRUE = element(0x01, Buffer.of(0xff))

const pem = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
