import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type KeyObject,
} from 'node:crypto'

/**
 * AES key wrap and RSA-OAEP by OpenSSL, and variations that OpenSSL does not offer. None of it comes from the gateway.
 */

const CIPHERS = { A256KW: 'id-aes256-wrap', A256KWP: 'id-aes256-wrap-pad' } as const
export const ICV = { A256KW: Buffer.alloc(8, 0xa6), A256KWP: Buffer.from('a65959a6', 'hex') } as const

export type AesMode = keyof typeof CIPHERS

export function wrapAes(kek: Buffer, mode: AesMode, dataKey: Buffer, icv: Buffer = ICV[mode]): Buffer {
  const cipher = createCipheriv(CIPHERS[mode], kek, icv)
  return Buffer.concat([cipher.update(dataKey), cipher.final()])
}

export function unwrapAes(kek: Buffer, mode: AesMode, wrapped: Buffer, icv: Buffer = ICV[mode]): Buffer {
  const decipher = createDecipheriv(CIPHERS[mode], kek, icv)
  return Buffer.concat([decipher.update(wrapped), decipher.final()])
}

/** RFC 3394 section 2.2.2, or RFC 5649 section 4.2 for two blocks, without the integrity check. */
export function unwrapUnchecked(kek: Buffer, wrapped: Buffer): { icv: Buffer; data: Buffer } {
  const decipher = createDecipheriv('aes-256-ecb', kek, null).setAutoPadding(false)
  const count = wrapped.length / 8 - 1
  if (count === 1) {
    const block = decipher.update(wrapped)
    return { icv: block.subarray(0, 8), data: block.subarray(8) }
  }
  let icv = Buffer.from(wrapped.subarray(0, 8))
  const data = Buffer.from(wrapped.subarray(8))
  for (let step = 6 * count; step >= 1; step -= 1) {
    const at = ((step - 1) % count) * 8
    icv.writeUInt32BE((icv.readUInt32BE(4) ^ step) >>> 0, 4)
    const block = decipher.update(Buffer.concat([icv, data.subarray(at, at + 8)]))
    icv = Buffer.from(block.subarray(0, 8))
    block.copy(data, at, 8)
  }
  return { icv, data }
}

export const rsaHashes = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' } as const
export type RsaAlgorithm = keyof typeof rsaHashes

const padding = constants.RSA_PKCS1_OAEP_PADDING

export const wrapRsa = (key: KeyObject, alg: RsaAlgorithm, dataKey: Buffer): Buffer =>
  publicEncrypt({ key, padding, oaepHash: rsaHashes[alg] }, dataKey)

export const unwrapRsa = (key: KeyObject, alg: RsaAlgorithm, wrapped: Buffer): Buffer =>
  privateDecrypt({ key, padding, oaepHash: rsaHashes[alg] }, wrapped)

export interface OaepLeniency {
  readonly hash: 'sha1' | 'sha256'
  readonly mgfHash: 'sha1' | 'sha256'
  readonly anyFirstByte?: true
  readonly anyLabel?: true
  readonly anySeparator?: true
}

/** RFC 8017 section 7.1.2, step 3. Each `any` member drops one check. */
export function decodeOaep(key: KeyObject, wrapped: Buffer, { hash, mgfHash, ...any }: OaepLeniency): Buffer {
  const encoded = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped)
  const labelHash = createHash(hash).digest()
  const seed = Buffer.from(encoded.subarray(1, 1 + labelHash.length))
  const data = Buffer.from(encoded.subarray(1 + labelHash.length))
  xor(seed, mgf1(data, seed.length, mgfHash))
  xor(data, mgf1(seed, data.length, mgfHash))
  if (encoded[0] !== 0 && !any.anyFirstByte) throw new Error('first byte')
  if (!labelHash.equals(data.subarray(0, labelHash.length)) && !any.anyLabel) throw new Error('label hash')
  const rest = data.subarray(labelHash.length)
  const separator = rest.findIndex((byte) => byte !== 0)
  if (separator === -1 || (rest[separator] !== 1 && !any.anySeparator)) throw new Error('separator')
  return rest.subarray(separator + 1)
}

/** RFC 8017 section 7.1.1, with a separate digest for MGF1. */
export function encryptOaep(key: KeyObject, dataKey: Buffer, hash: 'sha1' | 'sha256', mgfHash: 'sha1' | 'sha256') {
  const labelHash = createHash(hash).digest()
  const bytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  const zeros = Buffer.alloc(bytes - 2 * labelHash.length - 2 - dataKey.length)
  const data = Buffer.concat([labelHash, zeros, Buffer.of(1), dataKey])
  const seed = randomBytes(labelHash.length)
  xor(data, mgf1(seed, data.length, mgfHash))
  xor(seed, mgf1(data, seed.length, mgfHash))
  return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, Buffer.concat([Buffer.of(0), seed, data]))
}

function mgf1(seed: Buffer, length: number, hash: string): Buffer {
  const blocks: Buffer[] = []
  for (let counter = 0; blocks.length * 20 < length; counter += 1) {
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(Buffer.of(0, 0, 0, counter))
        .digest(),
    )
  }
  return Buffer.concat(blocks).subarray(0, length)
}

function xor(target: Buffer, mask: Buffer): void {
  for (const [index, byte] of mask.entries()) target[index] = (target[index] ?? 0) ^ byte
}
