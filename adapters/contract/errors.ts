/**
 * Why a backend could not do what was asked. The code is stable and is all that anybody branches on.
 *
 * | code | meaning |
 * |---|---|
 * | `KEY_NOT_FOUND` | the backend has no such key |
 * | `KEY_DISABLED` | the key is disabled, expired or not yet active |
 * | `OPERATION_FORBIDDEN` | the key is there, but the backend does not allow it this operation |
 * | `KEY_UNSUPPORTED` | the key is there, but of a type or size that the EKM Proxy API does not know |
 * | `KEY_AMBIGUOUS` | more than one key of the backend fits the key's reference, and none is used |
 * | `ALGORITHM_UNSUPPORTED` | the key cannot do this algorithm, or the backend has no right way to do it |
 * | `INPUT_INVALID` | data to wrap that the algorithm cannot take under this key |
 * | `CIPHERTEXT_INVALID` | the one failure of unwrap, whatever the cause: length, padding, integrity, wrong key |
 * | `BACKEND_BUSY` | no capacity now; nothing was done |
 * | `DEADLINE_EXCEEDED` | the call's deadline passed |
 * | `CANCELLED` | the caller went away |
 * | `BACKEND_UNAVAILABLE` | the backend cannot be reached, or it failed |
 * | `CLOSED` | the adapter is closed, or the gateway is shutting down |
 */
export type AdapterErrorCode =
  | 'KEY_NOT_FOUND'
  | 'KEY_DISABLED'
  | 'OPERATION_FORBIDDEN'
  | 'KEY_UNSUPPORTED'
  | 'KEY_AMBIGUOUS'
  | 'ALGORITHM_UNSUPPORTED'
  | 'INPUT_INVALID'
  | 'CIPHERTEXT_INVALID'
  | 'BACKEND_BUSY'
  | 'DEADLINE_EXCEEDED'
  | 'CANCELLED'
  | 'BACKEND_UNAVAILABLE'
  | 'CLOSED'

export interface AdapterErrorOptions {
  /** A CKR value or a KMIP result reason. For logs only. */
  readonly detail?: number
  /** Whole seconds after which to try again. Only `BACKEND_BUSY` has it. */
  readonly retryAfterSeconds?: number
}

/**
 * Every rejection of a {@link KeyAdapter} call. `message` is for the operator's log. It never reaches a caller, nothing
 * is decided by it, and it never contains key material, a data key or a ciphertext.
 */
export class AdapterError extends Error {
  override readonly name = 'AdapterError'
  readonly code: AdapterErrorCode
  readonly detail: number | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(code: AdapterErrorCode, message: string, options: AdapterErrorOptions = {}) {
    super(message)
    this.code = code
    this.detail = options.detail
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}

/**
 * Something that only an operator can correct: a file, a passphrase, a name, a port. `message` is one sentence for a
 * person. It says what is wrong and what to do, and never contains a secret. The command line prints it as it is.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  /** Stable, UPPER_SNAKE_CASE, e.g. `KEY_EXISTS`. */
  readonly code: string
  /** True if the fault may pass by itself: a backend is unreachable, not wrongly configured. */
  readonly transient: boolean

  constructor(code: string, message: string, { transient = false }: { readonly transient?: boolean } = {}) {
    super(message)
    this.code = code
    this.transient = transient
  }
}

/** The `code` of a Node.js or system error, e.g. `ENOENT`. */
export const systemCode = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown error'
