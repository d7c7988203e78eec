import { constants, createPublicKey, createSecretKey, publicEncrypt, subtle } from 'node:crypto'
import {
  AdapterError,
  algorithmRow,
  lengthFits,
  rsaSizes,
  type KeyDescription,
  type KeySummary,
  type WrapAlgorithm,
} from '../contract/index.ts'
import { isRepresentative } from '../key-wrap/index.ts'
import { AesKeyWrap } from './aes-key-wrap.ts'
import { jwkBits, type PrivateJwk, type StoredKey } from './stored-key.ts'

/** A key ready for use. Its secret part is in an OpenSSL key object and cannot be read back as text. */
export interface UsableKey {
  readonly description: KeyDescription
  /**
   * @param now milliseconds since 1970
   * @throws AdapterError `KEY_DISABLED` unless the key may be used then
   */
  assertUsable(now: number): void
  /** Returns a value, not a promise, if no other thread is needed. */
  wrap(algorithm: WrapAlgorithm, plaintext: Uint8Array): Uint8Array | Promise<Uint8Array>
  unwrap(algorithm: WrapAlgorithm, ciphertext: Uint8Array): Uint8Array | Promise<Uint8Array>
}

type Operations = Omit<UsableKey, 'assertUsable'>

export async function usableKey(stored: StoredKey): Promise<UsableKey> {
  // No closure may mention the JWK, here and below: all closures of a function share one scope, which would keep its
  // text.
  const { jwk, ...state } = stored
  const operations = jwk.kty === 'oct' ? octOperations(jwk) : await rsaOperations(jwk)
  return { ...operations, assertUsable: (now) => assertUsable(state, now) }
}

export function summaryOf({ name, jwk, enabled, created, notBefore, expires }: StoredKey): KeySummary {
  return {
    name,
    kty: jwk.kty,
    bits: jwkBits(jwk),
    enabled,
    created,
    ...(notBefore && { notBefore }),
    ...(expires && { expires }),
  }
}

function assertUsable({ name, enabled, notBefore, expires }: Omit<StoredKey, 'jwk'>, now: number): void {
  if (!enabled) throw new AdapterError('KEY_DISABLED', `${name} is disabled`)
  if (notBefore !== undefined && now < notBefore.getTime())
    throw new AdapterError('KEY_DISABLED', `${name} is not yet active`)
  if (expires !== undefined && now >= expires.getTime()) throw new AdapterError('KEY_DISABLED', `${name} has expired`)
}

const invalidCiphertext = () => new AdapterError('CIPHERTEXT_INVALID', 'the value cannot be unwrapped')

/** The algorithm's row. Throws unless this key can do the algorithm and `plaintextBytes`, if given, fits. */
function rowFor(algorithm: WrapAlgorithm, { kty, bits }: KeyDescription, plaintextBytes?: number) {
  const row = algorithmRow(algorithm)
  if (row.kty !== kty) throw new AdapterError('ALGORITHM_UNSUPPORTED', `${algorithm} needs a key of type ${row.kty}`)
  if (plaintextBytes !== undefined && !lengthFits(row.plaintext(bits), plaintextBytes)) {
    throw new AdapterError('INPUT_INVALID', `${algorithm} cannot wrap ${plaintextBytes} bytes under ${bits} bits`)
  }
  return row
}

function octOperations(jwk: PrivateJwk & { kty: 'oct' }): Operations {
  const raw = Buffer.from(jwk.k, 'base64url')
  const keyWrap = new AesKeyWrap(createSecretKey(raw))
  raw.fill(0)
  const description: KeyDescription = { kty: 'oct', bits: 256 }
  const mode = (algorithm: WrapAlgorithm) => (algorithm === 'A256KW' ? 'wrap' : 'wrap-pad')

  return {
    description,
    wrap: (algorithm, plaintext) => {
      rowFor(algorithm, description, plaintext.length)
      return keyWrap.wrap(mode(algorithm), plaintext)
    },
    unwrap: (algorithm, ciphertext) => {
      rowFor(algorithm, description)
      const plaintext = keyWrap.unwrap(mode(algorithm), ciphertext)
      if (plaintext === undefined) throw invalidCiphertext()
      return plaintext
    },
  }
}

type OaepHash = 'SHA-1' | 'SHA-256'

/** WebCrypto, because its RSA private operations run on Node.js's threads. It fixes the hash when a key is imported. */
const importPrivate = (jwk: PrivateJwk & { kty: 'RSA' }, hash: OaepHash) =>
  subtle.importKey('jwk', { ...jwk, ext: false }, { name: 'RSA-OAEP', hash }, false, ['decrypt'])

async function rsaOperations(jwk: PrivateJwk & { kty: 'RSA' }): Promise<Operations> {
  const modulusBits = jwkBits(jwk)
  const bits = rsaSizes.find((size) => size === modulusBits)
  if (bits === undefined) throw new AdapterError('KEY_UNSUPPORTED', 'not an RSA key of 2048, 3072 or 4096 bits')
  const description: KeyDescription = {
    kty: 'RSA',
    bits,
    n: Buffer.from(jwk.n, 'base64url'),
    e: Buffer.from(jwk.e, 'base64url'),
  }
  const publicKey = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' })
  const privateKeys = { 'SHA-1': await importPrivate(jwk, 'SHA-1'), 'SHA-256': await importPrivate(jwk, 'SHA-256') }
  const hashOf = (algorithm: WrapAlgorithm): OaepHash => algorithmRow(algorithm).hash ?? 'SHA-256'

  return {
    description,
    wrap: (algorithm, plaintext) => {
      rowFor(algorithm, description, plaintext.length)
      const oaepHash = hashOf(algorithm)
      return publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, plaintext)
    },
    unwrap: async (algorithm, ciphertext) => {
      rowFor(algorithm, description)
      // OpenSSL would accept a shorter value for the same integer.
      if (!isRepresentative(ciphertext, description.n)) throw invalidCiphertext()
      const plaintext = await subtle
        .decrypt({ name: 'RSA-OAEP' }, privateKeys[hashOf(algorithm)], ciphertext)
        .catch((error: unknown) => {
          if (error instanceof DOMException && error.name === 'OperationError') throw invalidCiphertext()
          throw error
        })
      // OAEP can carry an empty message, but a data key has at least one byte.
      if (plaintext.byteLength === 0) throw invalidCiphertext()
      return new Uint8Array(plaintext)
    },
  }
}
