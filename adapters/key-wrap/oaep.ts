import { constants, createHash, createPublicKey, publicEncrypt, type KeyObject } from 'node:crypto'
import { wipeableCopy } from '../contract/index.ts'

/** The digest of both the label and MGF1. The EKM Proxy API uses one for both. */
export type OaepHash = 'SHA-1' | 'SHA-256'

const nodeName = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const

/** A public key for {@link oaepWrap} from an RSA modulus and exponent, both unsigned big-endian. */
export function rsaPublicKey(n: Uint8Array, e: Uint8Array): KeyObject {
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
  return createPublicKey({ key: { kty: 'RSA', n: text(n), e: text(e) }, format: 'jwk' })
}

/**
 * Whether `ciphertext` is possible under the modulus `n`: of the same length, and a smaller integer. RFC 8017 §5.1.2
 * and §7.1.2 require that anything else is refused before the private key is used.
 */
export function isRepresentative(ciphertext: Uint8Array, n: Uint8Array): boolean {
  const modulus = n.subarray(n.findIndex((byte) => byte !== 0))
  return ciphertext.length === modulus.length && Buffer.compare(ciphertext, modulus) < 0
}

/** RSAES-OAEP-ENCRYPT with an empty label (RFC 8017 §7.1.1). The caller checks that `message` fits. */
export const oaepWrap = (key: KeyObject, hash: OaepHash, message: Uint8Array): Uint8Array =>
  publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: nodeName[hash] }, message)

/**
 * The decoding half of RSAES-OAEP-DECRYPT with an empty label (RFC 8017 §7.1.2, step 3), for the result of a raw RSA
 * private operation. `encoded` is as long as the modulus and is zeroed.
 *
 * @returns the message, or undefined for every failure. Which check failed, and where, changes neither a branch nor the
 *   number of steps: an attacker who can tell failures apart learns the plaintext (Manger, CRYPTO 2001). JavaScript
 *   cannot promise more than that. An empty message is a failure too, because no data key is empty.
 */
export function oaepDecode(encoded: Uint8Array, hash: OaepHash): Uint8Array | undefined {
  const labelHash = createHash(nodeName[hash]).digest()
  const hashBytes = labelHash.length
  const blockStart = 1 + hashBytes
  if (encoded.length < 2 * hashBytes + 2) return undefined
  const seed = encoded.subarray(1, blockStart)
  const block = encoded.subarray(blockStart)
  xorMask(seed, block, hash)
  xorMask(block, seed, hash)

  let bad = encoded[0] ?? 1
  for (let at = 0; at < hashBytes; at++) bad |= (block[at] ?? 0) ^ (labelHash[at] ?? 0)
  // After the label's hash come zeros, one byte 01, then the message. `searching` is 1 until that 01 and 0 from there
  // on.
  let searching = 1
  let start = 0
  for (let at = hashBytes; at < block.length; at++) {
    const byte = block[at] ?? 0
    const isZero = equalBit(byte, 0)
    const isOne = equalBit(byte, 1)
    start |= (at + 1) * (searching & isOne)
    bad |= searching & (1 ^ (isZero | isOne))
    searching &= 1 ^ isOne
  }
  bad |= searching | equalBit(start, block.length)
  const message = bad === 0 ? wipeableCopy(block.subarray(start)) : undefined
  encoded.fill(0)
  return message
}

/** 1 if two small non-negative integers are equal, otherwise 0. Without a branch. */
const equalBit = (a: number, b: number) => (((a ^ b) - 1) >>> 31) & 1

/** XORs `target` with MGF1 of `seed` (RFC 8017 §B.2.1). */
function xorMask(target: Uint8Array, seed: Uint8Array, hash: OaepHash): void {
  const counter = new Uint8Array(4)
  for (let done = 0, index = 0; done < target.length; index++) {
    new DataView(counter.buffer).setUint32(0, index)
    const mask = createHash(nodeName[hash]).update(seed).update(counter).digest()
    for (let at = 0; at < mask.length && done < target.length; at++, done++) {
      target[done] = (target[done] ?? 0) ^ (mask[at] ?? 0)
    }
    mask.fill(0)
  }
}
