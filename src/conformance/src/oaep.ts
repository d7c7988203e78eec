import { constants, createHash, createPublicKey, publicEncrypt, randomBytes, type KeyObject } from 'node:crypto'

type Hash = 'sha1' | 'sha256'

const HASH_BYTES = { sha1: 20, sha256: 32 } as const

/** The RSA algorithms of the EKM Proxy API, and the digest of OAEP and of MGF1 in each. */
export const rsaAlgorithms = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' } as const

export type RsaAlgorithm = keyof typeof rsaAlgorithms

/** Changes to an encoded message that a decoder must refuse, and the use of another hash. */
export interface Deviation {
  /** The digest of MGF1, if it is not that of the label. */
  readonly mgfHash?: Hash
  readonly label?: string
  /** The first byte, instead of 0. */
  readonly first?: number
  /** The byte between the zeros and the message, instead of 1. */
  readonly separator?: number
}

/** The key that a proxy's metadata describes. */
export const publicKeyFrom = (n: string, e: string): KeyObject =>
  createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' })

export const modulusBytes = (key: KeyObject): number => Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8)

/** The longest message in bytes (RFC 8017 section 7.1.1, step 1.b). */
export const capacity = (key: KeyObject, hash: Hash): number => modulusBytes(key) - 2 * HASH_BYTES[hash] - 2

/** RSAES-OAEP encryption (RFC 8017 section 7.1.1). Node.js's own encryption cannot deviate from it. */
export function encrypt(key: KeyObject, hash: Hash, message: Uint8Array, deviation: Deviation = {}): Buffer {
  const bytes = modulusBytes(key)
  const { mgfHash = hash, label = '', first = 0, separator = 1 } = deviation
  const data = Buffer.alloc(bytes - HASH_BYTES[hash] - 1)
  createHash(hash).update(label).digest().copy(data)
  data[data.length - message.length - 1] = separator
  data.set(message, data.length - message.length)
  const seed = randomBytes(HASH_BYTES[hash])
  xor(data, mask(seed, data.length, mgfHash))
  xor(seed, mask(data, seed.length, mgfHash))
  const encoded = Buffer.concat([Buffer.from([first]), seed, data])
  return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded)
}

/** MGF1 (RFC 8017 appendix B.2.1). */
function mask(seed: Uint8Array, length: number, hash: Hash): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / HASH_BYTES[hash]) }, (_, index) => {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(index)
    return createHash(hash).update(seed).update(counter).digest()
  })
  return Buffer.concat(blocks).subarray(0, length)
}

function xor(target: Buffer, other: Uint8Array): void {
  for (const [index, byte] of other.entries()) target[index] = (target[index] ?? 0) ^ byte
}
