import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import type { RsaPrivateJwk } from './harness.ts'

/*
 * A second implementation of the algorithms from single AES blocks, a hash and the raw RSA operation. An adapter is
 * thereby compared with the standards, and not with another user of the same library function.
 */

/** One AES block in, one AES block out. */
export type BlockFunction = (block: Uint8Array) => Buffer

/** AES-256's forward cipher, which KW and KWP use to wrap. */
export function aes256(key: Uint8Array): BlockFunction {
  const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  return (block) => cipher.update(block)
}

/** AES-256's inverse cipher. SP 800-38F §5.1 allows it for wrapping, but KW and KWP must not open the result. */
export function aes256Inverse(key: Uint8Array): BlockFunction {
  const decipher = createDecipheriv('aes-256-ecb', key, null).setAutoPadding(false)
  return (block) => decipher.update(block)
}

const SEMIBLOCK = 8

/** RFC 3394 §2.2.1: `iv` and whole semiblocks. The RFC requires two; RFC 5649 §4.1 allows one. */
export function wrapSemiblocks(encrypt: BlockFunction, iv: Uint8Array, data: Uint8Array): Buffer {
  if (data.length === SEMIBLOCK) return encrypt(Buffer.concat([iv, data]))
  const registers: Buffer[] = []
  for (let at = 0; at < data.length; at += SEMIBLOCK) registers.push(Buffer.from(data.subarray(at, at + SEMIBLOCK)))
  let a = Buffer.from(iv)
  let step = 0n
  for (let round = 0; round < 6; round += 1) {
    for (const [index, register] of registers.entries()) {
      const block = encrypt(Buffer.concat([a, register]))
      step += 1n
      a = Buffer.alloc(SEMIBLOCK)
      a.writeBigUInt64BE(block.readBigUInt64BE(0) ^ step)
      registers[index] = Buffer.from(block.subarray(SEMIBLOCK))
    }
  }
  return Buffer.concat([a, ...registers])
}

/** RFC 3394 §2.2.3.1. */
export const kwIv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex')

/** RFC 5649 §3: a constant, then the length of the data before padding. */
export function kwpIv(bytes: number): Buffer {
  const iv = Buffer.from('a65959a600000000', 'hex')
  iv.writeUInt32BE(bytes, 4)
  return iv
}

export const kw = (encrypt: BlockFunction, plaintext: Uint8Array): Buffer => wrapSemiblocks(encrypt, kwIv, plaintext)

export function kwp(encrypt: BlockFunction, plaintext: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil(plaintext.length / SEMIBLOCK) * SEMIBLOCK)
  padded.set(plaintext)
  return wrapSemiblocks(encrypt, kwpIv(plaintext.length), padded)
}

export type OaepHash = 'sha1' | 'sha256'

/** RFC 8017 §B.2.1. */
function mgf1(hash: OaepHash, seed: Uint8Array, bytes: number): Buffer {
  const blocks: Buffer[] = []
  for (let counter = 0; blocks.length * createHash(hash).digest().length < bytes; counter += 1) {
    const counterBytes = Buffer.alloc(4)
    counterBytes.writeUInt32BE(counter)
    blocks.push(createHash(hash).update(seed).update(counterBytes).digest())
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

const xor = (a: Uint8Array, b: Uint8Array) => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)))

/** The parts of an OAEP encoding. Each can be made wrong by itself. */
export interface OaepParts {
  readonly hash: OaepHash
  readonly message: Uint8Array
  /** The MGF1 hash; the same as `hash` unless a test makes it wrong. */
  readonly mgfHash?: OaepHash
  readonly label?: Uint8Array
  /** RFC 8017's Y: the first byte of the encoded message. */
  readonly firstByte?: number
  /** The byte between the zero padding and the message. */
  readonly separator?: number
  /** Changes the zero padding before it is masked. */
  readonly damagePadding?: (padding: Buffer) => void
}

/** RFC 8017 §7.1.1 and §5.1.1, by hand. */
export function oaepWrapByHand(jwk: RsaPrivateJwk, parts: OaepParts): Buffer {
  const { hash, message, mgfHash = hash, label = Buffer.alloc(0), firstByte = 0, separator = 1 } = parts
  const labelHash = createHash(hash).update(label).digest()
  const modulusBytes = Buffer.from(jwk.n, 'base64url').length
  const padding = Buffer.alloc(modulusBytes - message.length - 2 * labelHash.length - 2)
  parts.damagePadding?.(padding)
  const block = Buffer.concat([labelHash, padding, Buffer.of(separator), message])
  const seed = randomBytes(labelHash.length)
  const maskedBlock = xor(block, mgf1(mgfHash, seed, block.length))
  const maskedSeed = xor(seed, mgf1(mgfHash, maskedBlock, seed.length))
  return rsaRaw(jwk, Buffer.concat([Buffer.of(firstByte), maskedSeed, maskedBlock]))
}

/** Reading a key takes longer than using it. */
const remembered = (read: (jwk: RsaPrivateJwk) => KeyObject) => {
  const known = new WeakMap<RsaPrivateJwk, KeyObject>()
  return (jwk: RsaPrivateJwk): KeyObject => {
    const key = known.get(jwk) ?? read(jwk)
    known.set(jwk, key)
    return key
  }
}

const publicKeyOf = remembered(({ n, e }) => createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' }))
const privateKeyOf = remembered((jwk) => createPrivateKey({ key: { ...jwk }, format: 'jwk' }))

function rsaRaw(jwk: RsaPrivateJwk, block: Uint8Array): Buffer {
  return publicEncrypt({ key: publicKeyOf(jwk), padding: constants.RSA_NO_PADDING }, block)
}

const oaep = (oaepHash: OaepHash) => ({ padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash })

export const oaepWrap = (jwk: RsaPrivateJwk, hash: OaepHash, plaintext: Uint8Array): Buffer =>
  publicEncrypt({ key: publicKeyOf(jwk), ...oaep(hash) }, plaintext)

export const oaepUnwrap = (jwk: RsaPrivateJwk, hash: OaepHash, wrapped: Uint8Array): Buffer =>
  privateDecrypt({ key: privateKeyOf(jwk), ...oaep(hash) }, wrapped)
