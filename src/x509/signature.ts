import { constants, verify, type KeyObject, type VerifyKeyObjectInput } from 'node:crypto'
import type { Certificate } from './certificate.ts'
import { context, countOf, DerError, DerReader, tags } from './der.ts'

/** Something signed: a certificate or a revocation list. */
export interface Signed {
  /** SHA-256, lower-case hexadecimal. */
  readonly fingerprint: string
  readonly tbs: Buffer
  /** `AlgorithmIdentifier`, DER. */
  readonly signatureAlgorithm: Buffer
  readonly signature: Buffer
}

/** How signatures are checked, and which keys are accepted. Tests with old data have their own rules. */
export interface SignatureRules {
  isStrong(certificate: Certificate): boolean
  /** The time of a check with this key, in milliseconds of a core. */
  costMs(issuer: Certificate): number
  /** Whether `issuer`'s key made the signature. False for an algorithm that is not accepted. */
  verify(signed: Signed, issuer: Certificate): Promise<boolean>
}

const MIN_RSA_BITS = 2048
/** A larger key makes a check slow, and nobody has one. */
const MAX_RSA_BITS = 8192
const MAX_RSA_EXPONENT = 2n ** 32n
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1']
/** Measured with Node.js 20, 24 and 26, which do not differ. RSA-8192 costs 4 times as much as RSA-4096. */
const COSTS_MS: Readonly<Record<string, number>> = { secp384r1: 0.6, secp521r1: 1.5, rsa: 0.3, ed448: 0.3 }

/** Accepts RSA of 2048 to 8192 bits, the curves P-256, P-384 and P-521, Ed25519 and Ed448, with SHA-256 or longer. */
export const modernSignatures: SignatureRules = {
  isStrong: ({ publicKey }) => publicKey !== undefined && isStrongKey(publicKey),
  costMs: ({ publicKey }) => {
    const { asymmetricKeyType = '', asymmetricKeyDetails = {} } = publicKey ?? {}
    return COSTS_MS[asymmetricKeyDetails.namedCurve ?? asymmetricKeyType] ?? 0.1
  },
  verify: async (signed, { publicKey }) => {
    const scheme = schemeOf(signed.signatureAlgorithm)
    if (scheme === undefined || !scheme.keyTypes.includes(publicKey?.asymmetricKeyType ?? '')) return false
    const key = { key: publicKey as KeyObject, ...scheme.options }
    return verifyInThread(scheme.hash, signed, key)
  },
}

function isStrongKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = asymmetricKeyDetails ?? {}
  if (asymmetricKeyType === 'ec') return CURVES.includes(namedCurve)
  if (asymmetricKeyType === 'rsa' || asymmetricKeyType === 'rsa-pss') {
    const isSound = publicExponent >= 3n && publicExponent < MAX_RSA_EXPONENT && publicExponent % 2n === 1n
    return modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS && isSound
  }
  return asymmetricKeyType === 'ed25519' || asymmetricKeyType === 'ed448'
}

/** The check that was requested last. */
let last: Promise<unknown> = Promise.resolve()

/**
 * A check takes up to 1.5 ms (P-521), which is too long for the event loop. One check is made at a time, whoever asks,
 * so that strangers cannot occupy all of Node.js's threads.
 */
function verifyInThread(hash: string | null, { tbs, signature }: Signed, key: VerifyKeyObjectInput) {
  const check = () =>
    new Promise<boolean>((resolve) => {
      verify(hash, tbs, key, signature, (error, isGood) => resolve(error === null && isGood))
    })
  const asked = last.then(check)
  last = asked
  return asked
}

interface Scheme {
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly keyTypes: readonly string[]
  readonly options?: { readonly padding: number; readonly saltLength?: number }
}

const pkcs1 = (hash: Scheme['hash']): Scheme => ({
  hash,
  keyTypes: ['rsa'],
  options: { padding: constants.RSA_PKCS1_PADDING },
})
const ecdsa = (hash: Scheme['hash']): Scheme => ({ hash, keyTypes: ['ec'] })

/** RFC 4055, RFC 5758 and RFC 8410. */
const schemes: Readonly<Record<string, Scheme>> = {
  '1.2.840.113549.1.1.11': pkcs1('sha256'),
  '1.2.840.113549.1.1.12': pkcs1('sha384'),
  '1.2.840.113549.1.1.13': pkcs1('sha512'),
  '1.2.840.10045.4.3.2': ecdsa('sha256'),
  '1.2.840.10045.4.3.3': ecdsa('sha384'),
  '1.2.840.10045.4.3.4': ecdsa('sha512'),
  '1.3.101.112': { hash: null, keyTypes: ['ed25519'] },
  '1.3.101.113': { hash: null, keyTypes: ['ed448'] },
}
const RSASSA_PSS = '1.2.840.113549.1.1.10'
const MGF1 = '1.2.840.113549.1.1.8'

const hashes: Readonly<Record<string, Scheme['hash']>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

/** How to check a signature with this `AlgorithmIdentifier`. Undefined if the algorithm is not accepted. */
function schemeOf(algorithm: Buffer): Scheme | undefined {
  try {
    const reader = new DerReader(algorithm).sequence()
    const oid = reader.oid()
    return oid === RSASSA_PSS ? pssScheme(reader.sequence()) : schemes[oid]
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}

/**
 * RFC 4055 section 3.1. An omitted parameter means SHA-1, which is not accepted. Node.js checks signatures only if the
 * mask has the same hash.
 */
function pssScheme(parameters: DerReader): Scheme | undefined {
  const hash = hashOf(new DerReader(parameters.take(context(0, true))).sequence())
  const mask = new DerReader(parameters.take(context(1, true))).sequence()
  if (mask.oid() !== MGF1 || hashOf(mask.sequence()) !== hash || hash === undefined) return undefined
  const salt = parameters.optional(context(2, true))
  const saltLength = salt === undefined ? 20 : countOf(new DerReader(salt).take(tags.integer))
  const trailer = parameters.optional(context(3, true))
  parameters.end()
  if (trailer !== undefined && countOf(new DerReader(trailer).take(tags.integer)) !== 1) return undefined
  return { hash, keyTypes: ['rsa', 'rsa-pss'], options: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength } }
}

const hashOf = (algorithm: DerReader): Scheme['hash'] | undefined => hashes[algorithm.oid()]
