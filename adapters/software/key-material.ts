import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  KeyObject,
  publicEncrypt,
  randomBytes,
  subtle,
} from 'node:crypto'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { asBuffer, OperatorError, rsaSizes, type KeySpec } from '../contract/index.ts'
import { isServable, privateJwkSchema, type PrivateJwk } from './stored-key.ts'

const invalid = (message: string) => new OperatorError('KEY_MATERIAL_INVALID', message)

const ALLOWED_SIZES = `oct keys have 256 bits, RSA keys ${rsaSizes.join(', ')}`

/** Generates a key of the given type and size. */
export async function generate(spec: KeySpec): Promise<PrivateJwk> {
  if (spec.kty === 'oct') {
    if (spec.bits !== 256) throw invalid(`an oct key of ${spec.bits} bits is not allowed: ${ALLOWED_SIZES}`)
    const raw = randomBytes(32)
    const k = raw.toString('base64url')
    raw.fill(0)
    return { kty: 'oct', k }
  }
  if (!rsaSizes.some((bits) => bits === spec.bits)) {
    throw invalid(`an RSA key of ${spec.bits} bits is not allowed: ${ALLOWED_SIZES}`)
  }
  const pair = await promisify(generateKeyPair)('rsa', { modulusLength: spec.bits, publicExponent: 65537 })
  return exportJwk(pair.privateKey)
}

/**
 * Reads an operator's key: a JWK, an unencrypted PKCS#8 PEM, or 32 bytes in hexadecimal or base64url. The text itself
 * shows which form it has: 64 hexadecimal digits are never 32 bytes in base64url.
 */
export async function parseMaterial(material: Uint8Array): Promise<PrivateJwk> {
  const text = asBuffer(material).toString('utf8').trim()
  const jwk = recognise(text)
  if (!isServable(jwk)) throw invalid(`the key's size is not allowed: ${ALLOWED_SIZES}`)
  if (jwk.kty === 'RSA') await assertWorkingPair(jwk)
  return jwk
}

function recognise(text: string): PrivateJwk {
  if (text.startsWith('{')) return fromJwk(text)
  if (text.startsWith('-----BEGIN PRIVATE KEY-----')) return fromPem(text)
  if (text.startsWith('-----BEGIN')) {
    throw invalid('only an unencrypted PKCS#8 key can be imported: convert it with openssl pkcs8 -topk8 -nocrypt')
  }
  if (/^[0-9A-Fa-f]{64}$/.test(text)) return { kty: 'oct', k: Buffer.from(text, 'hex').toString('base64url') }
  if (text.length === 43 && canonical(text) === text) return { kty: 'oct', k: text }
  throw invalid('the input must be a private JWK, a PKCS#8 PEM, or 32 bytes in hexadecimal or base64url')
}

const canonical = (base64url: string) => Buffer.from(base64url, 'base64url').toString('base64url')

function fromJwk(text: string): PrivateJwk {
  try {
    const jwk = v.parse(privateJwkSchema, JSON.parse(text))
    // Through a key object and back, so that the stored members have their canonical encoding.
    if (jwk.kty === 'RSA') return exportJwk(createPrivateKey({ key: jwk, format: 'jwk' }))
    // Node.js skips characters that are not base64url, so a mistyped key would become another key.
    if (canonical(jwk.k) === jwk.k) return jwk
    throw new TypeError('k is not base64url')
  } catch {
    throw invalid('the JWK is not a private key: an oct key needs k, an RSA key n, e, d, p, q, dp, dq and qi')
  }
}

function fromPem(text: string): PrivateJwk {
  try {
    return exportJwk(createPrivateKey(text))
  } catch {
    throw invalid('the PEM text does not hold an RSA private key')
  }
}

const exportJwk = (key: KeyObject): PrivateJwk => v.parse(privateJwkSchema, key.export({ format: 'jwk' }))

/**
 * RFC 8017 §3.2. A round trip alone does not prove this: OpenSSL falls back from the factors to d and from d to the
 * factors. A key with one of them wrong would work here, slowly, and nowhere else. An exponent of 1 would encrypt
 * nothing.
 */
function partsBelongTogether(jwk: PrivateJwk & { kty: 'RSA' }): boolean {
  const integer = (text: string) => BigInt('0x0' + Buffer.from(text, 'base64url').toString('hex'))
  const [n, e, d, p, q] = [integer(jwk.n), integer(jwk.e), integer(jwk.d), integer(jwk.p), integer(jwk.q)]
  return (
    p > 1n &&
    q > 1n &&
    p * q === n &&
    e >= 3n &&
    (e * d) % (p - 1n) === 1n &&
    (e * d) % (q - 1n) === 1n &&
    integer(jwk.dp) === d % (p - 1n) &&
    integer(jwk.dq) === d % (q - 1n) &&
    (integer(jwk.qi) * q) % p === 1n
  )
}

/** A key whose numbers do not belong together would wrap data that nothing can unwrap. */
async function assertWorkingPair(jwk: PrivateJwk & { kty: 'RSA' }): Promise<void> {
  try {
    const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' }
    const privateKey = await subtle.importKey('jwk', jwk, algorithm, false, ['decrypt'])
    const publicKey = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' })
    const sample = randomBytes(32)
    const options = { key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
    const opened = await subtle.decrypt(algorithm, privateKey, publicEncrypt(options, sample))
    if (sample.equals(new Uint8Array(opened)) && partsBelongTogether(jwk)) return
  } catch {
    // Falls through to the one refusal below. OpenSSL's own message would not help the operator.
  }
  throw invalid('the numbers of the RSA key do not belong together')
}
