import { resultReason } from '../../../adapters/kmip/protocol/numbers.ts'
import { kmipVersions, type KmipVersion } from '../../../adapters/kmip/protocol/version.ts'
import type { PublicFormat } from './store.ts'

/** In what ways servers differ. The defaults are what Cosmian's KMS 5.28.0 was seen to do, for keys that are Sensitive. */
export interface Behaviour {
  readonly versions: readonly KmipVersion[]
  readonly ecb: 'None' | 'PKCS5' | 'none'
  /**
   * `swapped`: NISTKeyWrap does RFC 5649. `unchecked`: what fails the integrity check is opened all the same. `one key`: the
   * same key for everybody. `by parts`: each half of a value by itself.
   */
  readonly keyWrap: 'right' | 'swapped' | 'unchecked' | 'one key' | 'by parts' | 'none'
  readonly oaep: boolean
  /** The hash of MGF1 if a request does not state it. */
  readonly defaultMgfHash: number | 'same'
  /** Whether private keys link their public halves. */
  readonly links: boolean
  /** Whether Get hands out secret and private keys. */
  readonly exports: boolean
  readonly publicFormat: PublicFormat
  /** Whether data that begins with 87 87 is taken for a list of values. */
  readonly readsLists: boolean
  readonly credentials?: { readonly username: string; readonly password: string }
  readonly reasons: {
    readonly notFound: number
    /** Of GetAttributes; Cosmian has another reason there than for Encrypt. */
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

/** A server with the reasons that KMIP 2.1 lists for the same. */
export const versionTwoReasons: Behaviour['reasons'] = {
  notFound: resultReason.ObjectNotFound,
  notDescribed: resultReason.ObjectNotFound,
  wrongState: resultReason.WrongKeyLifecycleState,
  missingMask: resultReason.IncompatibleCryptographicUsageMask,
  unsupported: resultReason.UnsupportedCryptographicParameters,
  badCiphertext: resultReason.CryptographicFailure,
  notExportable: resultReason.NotExtractable,
}

/** An operation says no. */
export class Refused extends Error {
  readonly reason: number

  constructor(reason: number) {
    super(`refused: 0x${reason.toString(16)}`)
    this.reason = reason
  }
}
