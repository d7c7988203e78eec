import { createHash, generateKeyPairSync, randomBytes, KeyObject, sign, X509Certificate } from 'node:crypto'
import { parseCertificate, type Certificate } from '../../src/x509/certificate.ts'
import type { Authority, Identity } from './pki.ts'

/**
 * Certificates that no proper CA issues: version 1, a broken constraint, a weak key, a second certificate for a key.
 * `pki.ts` makes the usual ones.
 */

const DAY_MS = 24 * 3_600_000

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'secp256k1' | 'Ed25519' | 'RSA-1024' | 'RSA-2048'

interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** A certificate and its private key. */
export interface Holder extends Identity {
  readonly subject: Buffer
  readonly keys: KeyPair
}

export interface Wanted {
  readonly commonNames: readonly string[]
  readonly organization?: string
  /** If absent, the certificate is self-signed. */
  readonly by?: Holder
  /** A new key of this kind, or the key of another certificate. */
  readonly key?: KeyKind | Holder
  /** The signer, if it is not the issuer that the certificate names. */
  readonly signedBy?: Holder
  readonly hash?: 'sha1' | 'sha256'
  readonly version?: 1 | 3
  /** Milliseconds from now. */
  readonly from?: number
  readonly until?: number
  /** Replaces the usual extensions of a client or a CA; `undefined` omits one. */
  readonly extensions?: Readonly<Record<string, Buffer | undefined>>
}

export const tlv = (tag: number, ...contents: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(contents)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
const sequence = (...contents: readonly Buffer[]) => tlv(0x30, ...contents)
const octets = (content: Buffer) => tlv(0x04, content)
const bits = (content: Buffer, unused = 0) => tlv(0x03, Buffer.of(unused), content)
const integer = (value: number) => tlv(0x02, Buffer.of(value))
const truth = tlv(0x01, Buffer.of(0xff))
const oid = (text: string): Buffer => {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return tlv(0x06, Buffer.from(bytes))
}
const time = (at: number) => {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return tlv(0x17, Buffer.from(digits.slice(2)))
}
const attribute = (type: string, text: string | Buffer, tag = 0x0c) =>
  tlv(0x31, sequence(oid(type), tlv(tag, typeof text === 'string' ? Buffer.from(text) : text)))
const nameOf = (commonNames: readonly string[], organization?: string) =>
  sequence(
    ...(organization === undefined ? [] : [attribute('2.5.4.10', organization)]),
    ...commonNames.map((name) => attribute('2.5.4.3', name)),
  )

export const extension = (type: string, critical: boolean, value: Buffer) =>
  sequence(oid(type), ...(critical ? [truth] : []), octets(value))

export const basicConstraints = (ca: boolean, pathLen?: number) =>
  extension('2.5.29.19', true, sequence(...(ca ? [truth] : []), ...(pathLen === undefined ? [] : [integer(pathLen)])))

const USAGES = { digitalSignature: 0x80, keyEncipherment: 0x20, keyAgreement: 0x08, keyCertSign: 0x04, cRLSign: 0x02 }
export const keyUsage = (...names: readonly (keyof typeof USAGES)[]) =>
  extension('2.5.29.15', true, bits(Buffer.of(names.reduce((sum, name) => sum | USAGES[name], 0)), 1))

const PURPOSES = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2', any: '2.5.29.37.0' }
export const extKeyUsage = (...names: readonly (keyof typeof PURPOSES)[]) =>
  extension('2.5.29.37', false, sequence(...names.map((name) => oid(PURPOSES[name]))))

export const dns = (name: string) => tlv(0x82, Buffer.from(name))
/** A name with one attribute of any string type; an organization by default. */
export const nameWith = (text: string | Buffer, tag?: number, type = '2.5.4.10') => sequence(attribute(type, text, tag))
export const directory = (...attribute: Parameters<typeof nameWith>) => tlv(0xa4, nameWith(...attribute))

export const alternativeNames = (...names: readonly Buffer[]) => extension('2.5.29.17', false, sequence(...names))

export const nameConstraints = (kind: 'permitted' | 'excluded', ...names: readonly Buffer[]) =>
  extension(
    '2.5.29.30',
    true,
    sequence(tlv(kind === 'permitted' ? 0xa0 : 0xa1, ...names.map((name) => sequence(name)))),
  )

export const policies = (...names: readonly string[]) =>
  extension('2.5.29.32', false, sequence(...names.map((name) => sequence(oid(name)))))

/** The number of certificates after which a policy is required, or may not be mapped. */
export const policyConstraints = (kind: 'requireExplicitPolicy' | 'inhibitPolicyMapping', skipped: number) =>
  extension('2.5.29.36', true, sequence(tlv(kind === 'requireExplicitPolicy' ? 0x80 : 0x81, Buffer.of(skipped))))
export const inhibitAnyPolicy = (skipped: number) => extension('2.5.29.54', true, integer(skipped))
export const policyMapping = (from: string, to: string) =>
  extension('2.5.29.33', true, sequence(sequence(oid(from), oid(to))))

/** An unknown extension, under the arc for examples. */
export const unknownExtension = (critical: boolean) => extension('2.999.1', critical, octets(Buffer.from('?')))

function newKeys(kind: KeyKind): KeyPair {
  if (kind === 'Ed25519') return generateKeyPairSync('ed25519')
  if (kind === 'RSA-1024') return generateKeyPairSync('rsa', { modulusLength: 1024 })
  if (kind === 'RSA-2048') return generateKeyPairSync('rsa', { modulusLength: 2048 })
  return generateKeyPairSync('ec', { namedCurve: kind })
}

const ALGORITHMS: Readonly<Record<string, readonly [oid: string, ...parameters: Buffer[]]>> = {
  'ec sha256': ['1.2.840.10045.4.3.2'],
  'ec sha1': ['1.2.840.10045.4.1'],
  'rsa sha256': ['1.2.840.113549.1.1.11', tlv(0x05)],
  'rsa sha1': ['1.2.840.113549.1.1.5', tlv(0x05)],
  'ed25519 null': ['1.3.101.112'],
}

/** A certificate with only the requested contents. */
export function certify(wanted: Wanted): Holder {
  const { key = 'P-256', version = 3, extensions = {} } = wanted
  const keys = typeof key === 'string' ? newKeys(key) : key.keys
  const subject = nameOf(wanted.commonNames, wanted.organization)
  const issuer = wanted.by?.subject ?? subject
  const signer = wanted.signedBy?.keys ?? wanted.by?.keys ?? keys
  const type = signer.privateKey.asymmetricKeyType ?? ''
  const hash = type === 'ed25519' ? null : (wanted.hash ?? 'sha256')
  const [algorithm, ...parameters] = ALGORITHMS[`${type} ${hash}`] ?? ['0.0']
  const signatureAlgorithm = sequence(oid(algorithm), ...parameters)
  const now = Date.now()
  const listed = Object.values(extensions).filter((value) => value !== undefined)
  const tbs = sequence(
    ...(version === 3 ? [tlv(0xa0, integer(2))] : []),
    tlv(0x02, Buffer.of(1), randomBytes(8)),
    signatureAlgorithm,
    issuer,
    sequence(time(now + (wanted.from ?? -DAY_MS)), time(now + (wanted.until ?? 7 * DAY_MS))),
    subject,
    keys.publicKey.export({ format: 'der', type: 'spki' }),
    ...(listed.length > 0 ? [tlv(0xa3, sequence(...listed))] : []),
  )
  const der = sequence(tbs, signatureAlgorithm, bits(sign(hash, tbs, signer.privateKey)))
  return {
    certificate: pemOf(der),
    key: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string,
    subject,
    keys,
  }
}

const pemOf = (der: Buffer) =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`

const keyIdOf = ({ publicKey }: KeyPair) =>
  createHash('sha1')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest()

/** The key identifier of `issuer` in its certificates (RFC 5280 section 4.2.1.1). */
export const authorityKeyId = ({ keys }: Holder) => extension('2.5.29.35', false, sequence(tlv(0x80, keyIdOf(keys))))
export const subjectKeyId = ({ keys }: Holder) => extension('2.5.29.14', false, octets(keyIdOf(keys)))

/** A CA; a root if no issuer is given. */
export const certifyCa = (commonName: string, wanted: Partial<Wanted> = {}): Holder =>
  certify({
    commonNames: [commonName],
    until: 90 * DAY_MS,
    ...wanted,
    extensions: {
      basicConstraints: basicConstraints(true),
      keyUsage: keyUsage('keyCertSign', 'cRLSign'),
      ...wanted.extensions,
    },
  })

/** A CA of `pki.ts`, in a form that other CAs can certify too. */
export const holderOf = ({ certificate, key, issuer: { name, keys } }: Authority): Holder => ({
  certificate,
  key,
  subject: nameOf([name.replace(/^CN=/, '')]),
  keys: { publicKey: KeyObject.from(keys.publicKey), privateKey: KeyObject.from(keys.privateKey) },
})

/** A client's certificate. */
export const certifyClient = (commonName: string, by: Holder | undefined, wanted: Partial<Wanted> = {}): Holder =>
  certify({
    commonNames: [commonName],
    ...(by && { by }),
    ...wanted,
    extensions: {
      basicConstraints: basicConstraints(false),
      keyUsage: keyUsage('digitalSignature'),
      extKeyUsage: extKeyUsage('clientAuth'),
      ...(by && { authorityKeyId: authorityKeyId(by) }),
      ...wanted.extensions,
    },
  })

/** The certificates that a client sends: its own, then the others. */
export const sending = (client: Holder, ...others: readonly Holder[]): Identity => ({
  certificate: [client, ...others].map(({ certificate }) => certificate).join(''),
  key: client.key,
})

export const parsed = ({ certificate }: Identity): Certificate => parseCertificate(new X509Certificate(certificate).raw)
