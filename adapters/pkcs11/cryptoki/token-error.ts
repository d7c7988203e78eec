import { AdapterError, type AdapterErrorCode } from '../../contract/index.ts'
import { ckrName, ckrRow, contradictsWay } from './ckr-table.ts'

/**
 * What caused a failed call.
 *
 * | blame | cause |
 * |---|---|
 * | `request` | the request or its mechanism; the token is healthy |
 * | `token` | the token or its connection |
 * | `module` | the module crashed |
 * | `time` | the module did not return in time |
 * | `unclear` | the key or the way, or nothing shows the cause |
 */
export type Blame = 'request' | 'token' | 'module' | 'time' | 'unclear'

const CIPHERTEXT_MESSAGE = 'the value does not unwrap'

/** A failure below the adapter. Callers see an {@link AdapterError}. Qualification decides by the blame. */
export class TokenError extends AdapterError {
  readonly blame: Blame

  constructor(code: AdapterErrorCode, message: string, blame: Blame, ckr?: number) {
    const busy = code === 'BACKEND_BUSY' ? { retryAfterSeconds: 1 } : {}
    super(code, message, { ...(ckr !== undefined && { detail: ckr }), ...busy })
    this.blame = blame
  }

  /** What a `CK_RV` means if the token is healthy. */
  static ofCall(ckr: number, unwrapping: boolean): TokenError {
    const { error, unwrapError } = ckrRow(ckr)
    const code = unwrapping ? (unwrapError ?? error) : error
    // One failure has one text. Which of the token's answers it was is only in the detail.
    const message = code === 'CIPHERTEXT_INVALID' ? CIPHERTEXT_MESSAGE : `the token answered ${ckrName(ckr)}`
    return new TokenError(code, message, 'request', ckr)
  }

  /** What it means in a way that was found to be right, and is right for a known value even now. */
  static inRightWay(ckr: number, unwrapping: boolean): TokenError {
    if (!contradictsWay(ckr)) return TokenError.ofCall(ckr, unwrapping)
    if (!unwrapping) return TokenError.unclear(ckr, 'the way was right before')
    return new TokenError('CIPHERTEXT_INVALID', CIPHERTEXT_MESSAGE, 'request', ckr)
  }

  /** The one failure of an unwrap that depends on the ciphertext. */
  static invalidCiphertext(): TokenError {
    return new TokenError('CIPHERTEXT_INVALID', CIPHERTEXT_MESSAGE, 'request')
  }

  /** This key cannot be used in this way, or it is not known whether it can. Other keys may be. */
  static unclear(ckr: number, why: string): TokenError {
    return new TokenError('BACKEND_UNAVAILABLE', `the token answered ${ckrName(ckr)}, and ${why}`, 'unclear', ckr)
  }

  /** What is known of the key is known of the former token. */
  static otherToken(): TokenError {
    return TokenError.unavailable('another token is open')
  }

  static unavailable(message: string, ckr?: number): TokenError {
    return new TokenError('BACKEND_UNAVAILABLE', message, 'token', ckr)
  }
}
