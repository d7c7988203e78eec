import { AdapterError, type AdapterErrorCode } from '../contract/index.ts'
import { ckrName, ckrRow } from './ckr-table.ts'

/**
 * Whose fault a failed call is: the request's or its mechanism's (the token is well), the token's or its connection's,
 * the module's, which crashed, or that of time, in which the module did not return; `unclear` where it is the key's or the
 * way's, or where nothing shows whose it is.
 */
export type Blame = 'request' | 'token' | 'module' | 'time' | 'unclear'

const CIPHERTEXT_MESSAGE = 'the value does not unwrap'

/** A failure below the adapter. Callers see the {@link AdapterError}; qualification looks at the blame. */
export class TokenError extends AdapterError {
  readonly blame: Blame

  constructor(code: AdapterErrorCode, message: string, blame: Blame, ckr?: number) {
    const busy = code === 'BACKEND_BUSY' ? { retryAfterSeconds: 1 } : {}
    super(code, message, { ...(ckr !== undefined && { detail: ckr }), ...busy })
    this.blame = blame
  }

  /** What a `CK_RV` means when the token is well. */
  static ofCall(ckr: number, unwrapping: boolean): TokenError {
    const { error, unwrapError } = ckrRow(ckr)
    const code = unwrapping ? (unwrapError ?? error) : error
    // One failure, one text: which of the token's answers it was stays in the detail.
    const message = code === 'CIPHERTEXT_INVALID' ? CIPHERTEXT_MESSAGE : `the token answered ${ckrName(ckr)}`
    return new TokenError(code, message, 'request', ckr)
  }

  /** The one failure of an unwrap that depends on the ciphertext. */
  static invalidCiphertext(): TokenError {
    return new TokenError('CIPHERTEXT_INVALID', CIPHERTEXT_MESSAGE, 'request')
  }

  /** Others may be served: with this key, in this way, nothing is, or it is not known whether anything can be. */
  static unclear(ckr: number, why: string): TokenError {
    return new TokenError('BACKEND_UNAVAILABLE', `the token answered ${ckrName(ckr)}, and ${why}`, 'unclear', ckr)
  }

  static unavailable(message: string, ckr?: number): TokenError {
    return new TokenError('BACKEND_UNAVAILABLE', message, 'token', ckr)
  }
}
