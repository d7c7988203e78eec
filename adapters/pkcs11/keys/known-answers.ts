import { createCipheriv, randomBytes } from 'node:crypto'
import { oaepWrap, rsaPublicKey, wrapAll, type KeyWrapMode, type OaepHash } from '../../key-wrap/index.ts'
import type { KeyDescription } from '../../contract/index.ts'

/** A value and its only right wrapping. For OAEP: one of its right wrappings. */
export interface KnownAnswer {
  readonly plaintext: Uint8Array
  readonly wrapped: Uint8Array
}

/** Bytes. A way must carry every value up to this length; no usual data key is longer. */
export const SHORT_BYTES = 64

/** Lengths around the semiblock of 8 bytes and the block of 16 bytes, and the usual data keys. */
export const shortLengths: Record<KeyWrapMode, readonly number[]> = {
  KW: [16, 24, 32, 40, SHORT_BYTES],
  KWP: [1, 7, 8, 9, 12, 16, 20, 24, 31, 32, 33, SHORT_BYTES],
}

/**
 * Lengths in bytes, longest first. The first that a way carries is its limit. From 344 bytes on the step counter needs
 * two bytes.
 */
export const longLengths: readonly number[] = [512, 256, 128]

export const samples = (sizes: readonly number[]): Uint8Array[] => sizes.map((size) => randomBytes(size))

/** Computes the right wrappings of random values of these lengths. */
export type Oracle = (sizes: readonly number[]) => Promise<KnownAnswer[]>

/** OAEP in this process. */
export function oaepOracle({ n, e }: KeyDescription & { kty: 'RSA' }, hash: OaepHash): Oracle {
  const key = rsaPublicKey(n, e)
  return (sizes) =>
    Promise.resolve(samples(sizes).map((plaintext) => ({ plaintext, wrapped: oaepWrap(key, hash, plaintext) })))
}

/** Key wrap in this process, with an AES key that is known here. */
export const localOracle =
  (key: Uint8Array, mode: KeyWrapMode): Oracle =>
  async (sizes) => {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false)
    const values = samples(sizes)
    const wrapped = await wrapAll(mode, values, (blocks) => cipher.update(blocks))
    return values.map((plaintext, index) => ({ plaintext, wrapped: wrapped[index] ?? new Uint8Array() }))
  }

/** `wrapped` with one bit changed. No right implementation unwraps it. */
export function damaged(wrapped: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(wrapped)
  const at = copy.length >> 1
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

export const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
