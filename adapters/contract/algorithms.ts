/** The wrapping algorithms of the EKM Proxy API, by the names that Azure gives them. */
export type WrapAlgorithm = 'A256KW' | 'A256KWP' | 'RSA-OAEP' | 'RSA-OAEP-256'

/** What a backend says of a key: public attributes only. */
export type KeyDescription =
  | { readonly kty: 'oct'; readonly bits: 256 }
  | { readonly kty: 'RSA'; readonly bits: RsaBits; readonly n: Uint8Array; readonly e: Uint8Array }

export type RsaBits = 2048 | 3072 | 4096
export const rsaSizes: readonly RsaBits[] = [2048, 3072, 4096]

/** The number of bits of an unsigned big-endian integer. */
export function bitLength(integer: Uint8Array): number {
  const leading = integer.findIndex((byte) => byte !== 0)
  return leading === -1 ? 0 : 8 * (integer.length - leading) - (Math.clz32(integer[leading] ?? 0) - 24)
}

/** The lengths in bytes that a value may have. Both ends are included. */
export interface LengthRule {
  readonly min: number
  readonly max: number
  readonly multipleOf: number
}

export interface AlgorithmRow {
  readonly kty: KeyDescription['kty']
  /** The digest of OAEP *and* of its MGF1 (RFC 8017 §7.1); absent for AES key wrap. */
  readonly hash?: 'SHA-1' | 'SHA-256'
  /** Legal lengths of the data to wrap under a key of `bits`. */
  readonly plaintext: (bits: number) => LengthRule
  /** The length in bytes of the wrapped value, for `plaintextBytes` of data under a key of `bits`. */
  readonly wrappedBytes: (plaintextBytes: number, bits: number) => number
  /** The lengths that a wrapped value of `wrappedBytes` can unwrap to, under a key of `bits`. */
  readonly unwrapped: (wrappedBytes: number, bits: number) => LengthRule
}

const SEMIBLOCK = 8
const toSemiblocks = (bytes: number) => Math.ceil(bytes / SEMIBLOCK) * SEMIBLOCK

/** RFC 3394: whole semiblocks of 8 bytes, at least two. */
const keyWrap: AlgorithmRow = {
  kty: 'oct',
  plaintext: () => ({ min: 2 * SEMIBLOCK, max: Infinity, multipleOf: SEMIBLOCK }),
  wrappedBytes: (plaintextBytes) => plaintextBytes + SEMIBLOCK,
  unwrapped: (wrappedBytes) => ({
    min: wrappedBytes - SEMIBLOCK,
    max: wrappedBytes - SEMIBLOCK,
    multipleOf: SEMIBLOCK,
  }),
}

/** RFC 5649: any length from one byte. */
const keyWrapWithPadding: AlgorithmRow = {
  kty: 'oct',
  plaintext: () => ({ min: 1, max: Infinity, multipleOf: 1 }),
  wrappedBytes: (plaintextBytes) => toSemiblocks(plaintextBytes) + SEMIBLOCK,
  unwrapped: (wrappedBytes) => ({
    min: wrappedBytes - 2 * SEMIBLOCK + 1,
    max: wrappedBytes - SEMIBLOCK,
    multipleOf: 1,
  }),
}

/** RFC 8017 §7.1: at most k − 2·hLen − 2 bytes of data, always k bytes when wrapped. */
function oaep(hash: 'SHA-1' | 'SHA-256', hashBytes: number): AlgorithmRow {
  const capacity = (bits: number): LengthRule => ({ min: 1, max: bits / 8 - 2 * hashBytes - 2, multipleOf: 1 })
  return {
    kty: 'RSA',
    hash,
    plaintext: capacity,
    wrappedBytes: (_plaintextBytes, bits) => bits / 8,
    unwrapped: (_wrappedBytes, bits) => capacity(bits),
  }
}

// Without a prototype, a name such as `constructor` from a caller finds nothing.
const rows: Readonly<Record<WrapAlgorithm, AlgorithmRow>> = Object.assign(Object.create(null) as object, {
  A256KW: keyWrap,
  A256KWP: keyWrapWithPadding,
  'RSA-OAEP': oaep('SHA-1', 20),
  'RSA-OAEP-256': oaep('SHA-256', 32),
} satisfies Record<WrapAlgorithm, AlgorithmRow>)

/** Every algorithm, in the order in which messages list them. */
export const wrapAlgorithms = Object.keys(rows) as readonly WrapAlgorithm[]

export const isWrapAlgorithm = (name: string): name is WrapAlgorithm => name in rows

export const algorithmRow = (algorithm: WrapAlgorithm): AlgorithmRow => rows[algorithm]

/** Whether a length of `bytes` obeys `rule`. */
export const lengthFits = (rule: LengthRule, bytes: number): boolean =>
  bytes >= rule.min && bytes <= rule.max && bytes % rule.multipleOf === 0
