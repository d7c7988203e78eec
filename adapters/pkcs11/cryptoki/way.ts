import type { KeyWrapMode, OaepHash } from '../../key-wrap/index.ts'
import { CKM, mechanismName } from './numbers.ts'

/**
 * How an operation reaches the key.
 *
 * | path | calls |
 * |---|---|
 * | `encrypt` | C_Encrypt and C_Decrypt |
 * | `wrap-key` | C_WrapKey and C_UnwrapKey, with the data key as a session object for the length of the call |
 * | `blocks` | RFC 3394 or RFC 5649 in the host process, with single AES blocks from C_Encrypt and C_Decrypt |
 * | `raw-rsa` | C_Decrypt without padding, and OAEP decoding in the host process |
 */
export const paths = ['encrypt', 'wrap-key', 'blocks', 'raw-rsa'] as const
export type Path = (typeof paths)[number]

/** The result: RFC 3394, RFC 5649, or OAEP with one digest for label and MGF1. */
export const schemes = ['KW', 'KWP', 'SHA-1', 'SHA-256'] as const satisfies readonly (KeyWrapMode | OaepHash)[]
export type Scheme = (typeof schemes)[number]

export const directions = ['wrap', 'unwrap'] as const
export type Direction = (typeof directions)[number]

export interface Way {
  readonly path: Path
  readonly mechanism: number
  readonly scheme: Scheme
}

const calls: Record<Path, string> = {
  encrypt: 'C_Encrypt/C_Decrypt',
  'wrap-key': 'C_WrapKey/C_UnwrapKey',
  blocks: 'host-run key wrap over',
  'raw-rsa': 'OAEP decoding in the host over',
}

/** For people: `C_WrapKey/C_UnwrapKey CKM_AES_KEY_WRAP (0x2109)`. */
export const wayName = ({ path, mechanism }: Way): string => `${calls[path]} ${mechanismName(mechanism)}`

export interface Mechanisms {
  /** The mechanisms that the token lists. Empty if it lists none. */
  readonly offered: readonly number[]
  /** Used instead of every other mechanism for its algorithm, even if the token does not list it. */
  readonly pinned?: number
  readonly forbidden: readonly number[]
}

const keyWrapMechanisms: Record<KeyWrapMode, readonly number[]> = {
  KW: [CKM.AES_KEY_WRAP, CKM.LUNA_AES_KW, CKM.CLOUDHSM_AES_KEY_WRAP_NO_PAD],
  KWP: [CKM.AES_KEY_WRAP_KWP, CKM.AES_KEY_WRAP_PAD, CKM.LUNA_AES_KWP, CKM.CLOUDHSM_AES_KEY_WRAP_ZERO_PAD],
}

/** For tokens without ECB: one block of CBC under a zero IV is a block of ECB. */
const blockMechanisms: readonly number[] = [CKM.AES_ECB, CKM.AES_CBC]

/** The ways to try for `scheme`, best first. Each must be checked with the key before it is used. */
export function candidateWays(scheme: Scheme, mechanisms: Mechanisms): Way[] {
  const ways = (path: Path, numbers: readonly number[]): Way[] =>
    choose(numbers, mechanisms).map((mechanism) => ({ path, mechanism, scheme }))
  if (scheme === 'KW' || scheme === 'KWP') {
    const numbers = withPinned(keyWrapMechanisms[scheme], mechanisms, blockMechanisms)
    return [...ways('encrypt', numbers), ...ways('wrap-key', numbers), ...ways('blocks', blockMechanisms)]
  }
  const numbers = withPinned([CKM.RSA_PKCS_OAEP], mechanisms, [CKM.RSA_X_509])
  return [...ways('encrypt', numbers), ...ways('wrap-key', numbers), ...ways('raw-rsa', [CKM.RSA_X_509])]
}

/** Block ciphers for an independent computation of the results, whatever mechanism is pinned for serving. */
export const referenceWays = (scheme: KeyWrapMode, { offered, forbidden }: Mechanisms): Way[] =>
  choose(blockMechanisms, { offered, forbidden }).map((mechanism) => ({ path: 'blocks', mechanism, scheme }))

/** A pinned number that is not known here is a vendor mechanism for the whole algorithm. */
const withPinned = (known: readonly number[], { pinned }: Mechanisms, primitives: readonly number[]) =>
  pinned === undefined || known.includes(pinned) || primitives.includes(pinned) ? known : [...known, pinned]

const choose = (numbers: readonly number[], { offered, pinned, forbidden }: Mechanisms) =>
  numbers.filter((number) => {
    if (forbidden.includes(number)) return false
    if (pinned !== undefined) return number === pinned
    return offered.length === 0 || offered.includes(number)
  })
