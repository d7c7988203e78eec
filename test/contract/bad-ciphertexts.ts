import { randomBytes } from 'node:crypto'
import type { WrapAlgorithm } from '../../adapters/contract/index.ts'
import type { RsaPrivateJwk } from './harness.ts'
import {
  aes256,
  aes256Inverse,
  kw,
  kwIv,
  kwp,
  kwpIv,
  oaepWrap,
  oaepWrapByHand,
  wrapSemiblocks,
  type OaepHash,
  type OaepParts,
} from './reference.ts'

/** A value that must not unwrap, and the reason. */
export interface BadCiphertext {
  readonly cause: string
  readonly value: Uint8Array
}

export interface BadCiphertextKeys {
  /** The key that is asked to unwrap. */
  readonly kek: Uint8Array
  readonly jwk: RsaPrivateJwk
  /** Keys of the same kind, for the values of "another key". */
  readonly otherKek: Uint8Array
  readonly otherJwk: RsaPrivateJwk
}

/** Every way in which a value can be invalid for `algorithm`. */
export function badCiphertexts(algorithm: WrapAlgorithm, keys: BadCiphertextKeys): BadCiphertext[] {
  switch (algorithm) {
    case 'A256KW':
      return badForBoth('A256KW', keys).concat(badForKw(keys))
    case 'A256KWP':
      return badForBoth('A256KWP', keys).concat(badForKwp(keys))
    case 'RSA-OAEP':
      return badForOaep('sha1', 'sha256', keys)
    case 'RSA-OAEP-256':
      return badForOaep('sha256', 'sha1', keys)
  }
}

function badForBoth(algorithm: 'A256KW' | 'A256KWP', { kek, otherKek }: BadCiphertextKeys): BadCiphertext[] {
  const [ours, theirs] = algorithm === 'A256KW' ? [kw, kwp] : [kwp, kw]
  const encrypt = aes256(kek)
  const dek = randomBytes(32)
  const good = ours(encrypt, dek)
  return [
    ...[0, 1, 7, 8, 9, 15, 17, 23, 25, 39, 41].map((bytes) => ({ cause: `${bytes} bytes`, value: randomBytes(bytes) })),
    ...[16, 24, 32, 40, 48, 264].map((bytes) => ({ cause: `${bytes} random bytes`, value: randomBytes(bytes) })),
    { cause: 'zero bytes', value: Buffer.alloc(40) },
    { cause: 'another key', value: ours(aes256(otherKek), dek) },
    { cause: 'the other algorithm', value: theirs(encrypt, dek) },
    { cause: 'the inverse cipher', value: ours(aes256Inverse(kek), dek) },
    { cause: 'a semiblock missing at the end', value: good.subarray(0, -8) },
    { cause: 'a semiblock missing at the start', value: good.subarray(8) },
    { cause: 'a byte missing', value: good.subarray(0, -1) },
    { cause: 'a semiblock too many', value: Buffer.concat([good, Buffer.alloc(8)]) },
    { cause: 'a byte too many', value: Buffer.concat([good, Buffer.alloc(1)]) },
    { cause: 'two values', value: Buffer.concat([good, good]) },
  ]
}

function badForKw({ kek }: BadCiphertextKeys): BadCiphertext[] {
  const encrypt = aes256(kek)
  const dek = randomBytes(32)
  const alternativeIv = Buffer.from('a65959a6a6a6a6a6', 'hex')
  return [
    {
      cause: 'one semiblock of data, which RFC 3394 does not know',
      value: wrapSemiblocks(encrypt, kwIv, dek.subarray(24)),
    },
    {
      cause: 'one bit of the initial value',
      value: wrapSemiblocks(encrypt, Buffer.from('a6a6a6a6a6a6a6a7', 'hex'), dek),
    },
    { cause: 'another initial value', value: wrapSemiblocks(encrypt, alternativeIv, dek) },
  ]
}

function badForKwp({ kek }: BadCiphertextKeys): BadCiphertext[] {
  const encrypt = aes256(kek)
  const padded = (bytes: number, total: number) => {
    const data = Buffer.alloc(total)
    data.set(randomBytes(bytes))
    return data
  }
  const claiming = (claimed: number, bytes: number, total: number) => ({
    cause: `${bytes} bytes in ${total} that claim to be ${claimed}`,
    value: wrapSemiblocks(encrypt, kwpIv(claimed), padded(bytes, total)),
  })
  const paddedWith = (bytes: number, total: number, at: number) => {
    const data = padded(bytes, total)
    data.writeUInt8(1, at)
    return { cause: `byte ${at} of ${total} not zero`, value: wrapSemiblocks(encrypt, kwpIv(bytes), data) }
  }
  return [
    claiming(0, 0, 8),
    claiming(0, 0, 16),
    claiming(9, 8, 8),
    claiming(8, 8, 16),
    claiming(17, 16, 16),
    claiming(24, 32, 32),
    claiming(33, 32, 32),
    claiming(40, 32, 32),
    claiming(0xff_ff_ff_ff, 32, 32),
    claiming(0x80_00_00_20, 32, 32),
    paddedWith(1, 8, 1),
    paddedWith(1, 8, 7),
    paddedWith(7, 8, 7),
    paddedWith(17, 24, 17),
    paddedWith(17, 24, 20),
    paddedWith(17, 24, 23),
    paddedWith(31, 32, 31),
    ...['a65959a7', '265959a6', '00000000'].map((constant) => {
      const iv = kwpIv(32)
      iv.write(constant, 'hex')
      return { cause: `the constant ${constant}`, value: wrapSemiblocks(encrypt, iv, randomBytes(32)) }
    }),
    { cause: "RFC 3394's initial value in one block", value: wrapSemiblocks(encrypt, kwIv, randomBytes(8)) },
  ]
}

function badForOaep(hash: OaepHash, otherHash: OaepHash, { jwk, otherJwk }: BadCiphertextKeys): BadCiphertext[] {
  const modulus = Buffer.from(jwk.n, 'base64url')
  const dek = randomBytes(32)
  const good = oaepWrap(jwk, hash, dek)
  const below = randomBytes(modulus.length)
  below.writeUInt8(0, 0)
  const byHand = (cause: string, parts: Partial<OaepParts>) => ({
    cause,
    value: oaepWrapByHand(jwk, { hash, message: dek, ...parts }),
  })
  return [
    ...[0, 1, 40, modulus.length - 1, modulus.length + 1, 2 * modulus.length].map((bytes) => ({
      cause: `${bytes} bytes`,
      value: randomBytes(bytes),
    })),
    { cause: 'random bytes below the modulus', value: below },
    { cause: 'the modulus', value: modulus },
    { cause: 'a right value and the modulus', value: plusModulus(modulus, () => oaepWrap(jwk, hash, dek)) },
    { cause: 'the largest value of that length', value: Buffer.alloc(modulus.length, 0xff) },
    { cause: 'zero', value: Buffer.alloc(modulus.length) },
    { cause: 'one', value: Buffer.alloc(modulus.length).fill(1, modulus.length - 1) },
    { cause: 'a leading zero byte too many', value: Buffer.concat([Buffer.alloc(1), good]) },
    { cause: 'a byte missing at the end', value: good.subarray(0, -1) },
    { cause: 'a leading zero byte left out', value: withLeadingZero(jwk, hash, dek).subarray(1) },
    { cause: 'another key', value: oaepWrap(otherJwk, hash, dek) },
    { cause: 'the other hash', value: oaepWrap(jwk, otherHash, dek) },
    byHand('the other hash in MGF1 only', { mgfHash: otherHash }),
    byHand('the other hash in the label only', { hash: otherHash, mgfHash: hash }),
    byHand('a label', { label: Buffer.from('label') }),
    byHand('a first byte that is not zero', { firstByte: 1 }),
    byHand('a separator that is not one', { separator: 2 }),
    byHand('no separator', { separator: 0, message: Buffer.alloc(0) }),
    byHand('padding that is not zero at its start', { damagePadding: (padding) => padding.fill(2, 0, 1) }),
    byHand('padding that is not zero at its end', { damagePadding: (padding) => padding.fill(2, padding.length - 1) }),
    byHand('no data at all', { message: Buffer.alloc(0) }),
  ]
}

/** Wraps until the value starts with a zero byte. Without that byte it is the same integer, one byte too short. */
function withLeadingZero(jwk: RsaPrivateJwk, hash: OaepHash, dek: Uint8Array): Buffer {
  for (;;) {
    const wrapped = oaepWrap(jwk, hash, dek)
    if (wrapped[0] === 0) return wrapped
  }
}

/** An integer with the same residue as a valid value and the same length, but out of range (RFC 8017 §5.1.2). */
function plusModulus(modulus: Buffer, wrap: () => Uint8Array): Buffer {
  for (;;) {
    const sum = BigInt(`0x${modulus.toString('hex')}`) + BigInt(`0x${Buffer.from(wrap()).toString('hex')}`)
    const text = sum.toString(16)
    if (text.length === 2 * modulus.length) return Buffer.from(text, 'hex')
  }
}
