import { resultReason } from '../../../adapters/kmip/protocol/numbers.ts'
import { kmipVersions, type KmipVersion } from '../../../adapters/kmip/protocol/version.ts'
import type { PublicFormat } from './store.ts'

/** The differences between servers. The defaults follow Cosmian's KMS 5.28.0 with Sensitive keys. */
export interface Behaviour {
  readonly versions: readonly KmipVersion[]
  readonly ecb: 'None' | 'PKCS5' | 'none'
  /**
   * `swapped`: NISTKeyWrap does RFC 5649. `unchecked`: values that fail the integrity check are unwrapped. `one key`:
   * every key has the same value. `by parts`: each half of a value is wrapped by itself.
   */
  readonly keyWrap: 'right' | 'swapped' | 'unchecked' | 'one key' | 'by parts' | 'none'
  readonly oaep: boolean
  /** The hash of MGF1 if a request does not state it. */
  readonly defaultMgfHash: number | 'same'
  /** Whether private keys link their public halves. */
  readonly links: boolean
  /** Whether Get returns secret and private keys. */
  readonly exports: boolean
  readonly publicFormat: PublicFormat
  /** Whether data that begins with 87 87 is read as a list of values. */
  readonly readsLists: boolean
  readonly credentials?: { readonly username: string; readonly password: string }
  readonly reasons: {
    readonly notFound: number
    /** The reason of GetAttributes, which differs from that of Encrypt on Cosmian's server. */
    readonly notDescribed: number
    readonly wrongState: number
    readonly missingMask: number
    readonly unsupported: number
    readonly badCiphertext: number
    readonly notExportable: number
  }
}

export const cosmianLike: Behaviour = {
  versions: kmipVersions,
  ecb: 'None',
  keyWrap: 'right',
  oaep: true,
  defaultMgfHash: 'same',
  links: true,
  exports: false,
  publicFormat: 'PKCS1',
  readsLists: true,
  reasons: {
    notFound: resultReason.ItemNotFound,
    notDescribed: resultReason.ObjectNotFound,
    wrongState: resultReason.PermissionDenied,
    missingMask: resultReason.ItemNotFound,
    unsupported: resultReason.OperationNotSupported,
    badCiphertext: resultReason.CryptographicFailure,
    notExportable: resultReason.Sensitive,
  },
}

/** The reasons that KMIP 2.1 lists for the same failures. */
export const versionTwoReasons: Behaviour['reasons'] = {
  notFound: resultReason.ObjectNotFound,
  notDescribed: resultReason.ObjectNotFound,
  wrongState: resultReason.WrongKeyLifecycleState,
  missingMask: resultReason.IncompatibleCryptographicUsageMask,
  unsupported: resultReason.UnsupportedCryptographicParameters,
  badCiphertext: resultReason.CryptographicFailure,
  notExportable: resultReason.NotExtractable,
}

/** A refusal of an operation. */
export class Refused extends Error {
  readonly reason: number

  constructor(reason: number) {
    super(`refused: 0x${reason.toString(16)}`)
    this.reason = reason
  }
}
