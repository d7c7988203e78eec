import type { KeyDescription, WrapAlgorithm } from './algorithms.ts'
import type { CallContext, KeyRef } from './call.ts'
import type { KeyInspection } from './inspection.ts'
import type { KeyValidity } from './key-validity.ts'

/**
 * A backend that holds key-encryption keys.
 *
 * Every rejection is an {@link AdapterError}; anything else is a bug and becomes an internal error. Calls may run
 * concurrently. A call whose signal has already fired rejects with the signal's reason and does nothing. No call blocks
 * the event loop: no synchronous private-key operation, no synchronous I/O. After {@link KeyAdapter.close} every call
 * rejects with `CLOSED`.
 */
export interface KeyAdapter {
  /** What `/info` says of the backend, unless the operator configures something else. */
  readonly product: { readonly vendor: string; readonly name: string }

  /** Sessions or connections to the backend that are open now. Undefined if the backend has none. */
  readonly connections?: number

  /** How many connections the adapter keeps open while the backend is healthy. Undefined if it opens them on demand. */
  readonly connectionsWanted?: number | undefined

  /** Answers an operator's questions. Undefined if the backend has nothing to add to the calls. */
  readonly inspection?: KeyInspection | undefined

  /** True while the backend is still to be opened. Until then the adapter refuses every call. */
  readonly away?: boolean

  /**
   * Public attributes of the key, never the key itself.
   * @throws AdapterError `KEY_NOT_FOUND`, `KEY_DISABLED`, `KEY_UNSUPPORTED`, `KEY_AMBIGUOUS` or `OPERATION_FORBIDDEN`
   */
  describe(key: KeyRef, context: CallContext): Promise<KeyDescription>

  /**
   * Wraps `plaintext`. The caller has checked its length against the algorithm's row; the adapter checks it again and
   * rejects with `INPUT_INVALID`. The adapter itself checks whether the key may be used; what it knows of the key is at
   * most seconds old. It keeps no reference to `plaintext` after the promise has settled.
   */
  wrap(key: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array>

  /**
   * Unwraps `ciphertext`. Every failure that depends on the ciphertext (length, padding, integrity, wrong key) rejects
   * with the same `CIPHERTEXT_INVALID`, as nearly as possible after the same time. The caller owns the result and
   * zeroes it.
   */
  unwrap(key: KeyRef, algorithm: WrapAlgorithm, ciphertext: Uint8Array, context: CallContext): Promise<Uint8Array>

  /** Resolves if the backend can serve now; rejects otherwise. */
  probe(context: CallContext): Promise<void>

  /** Releases everything that the adapter holds. A second call does nothing. */
  close(): Promise<void>
}

/** Tells the operator of something that no call returns, e.g. a key file that became unreadable. */
export type Report = (
  level: 'info' | 'warn' | 'error',
  event: string,
  fields: Readonly<Record<string, string | number | boolean>>,
) => void

/** What an adapter's module exports. Both functions reject with an {@link OperatorError} when the operator must act. */
export interface AdapterModule<Options> {
  open(options: Options, report: Report): Promise<KeyAdapter>
  /** Undefined if the backend's keys can be managed only with its own tools. */
  administer?(options: Options): Promise<KeyAdministration>
}

export type KeySpec = { readonly kty: 'oct'; readonly bits: number } | { readonly kty: 'RSA'; readonly bits: number }

/** One line of `keys list`. */
export interface KeySummary extends KeyValidity {
  readonly name: string
  readonly kty: KeyDescription['kty']
  /** Undefined if the backend does not say. */
  readonly bits?: number
  readonly enabled: boolean
  readonly created?: Date
}

/**
 * Key management for an operator at a terminal; requests never reach it. Rejects with an {@link OperatorError}. There is
 * no export, on purpose.
 */
export interface KeyAdministration {
  create(name: string, spec: KeySpec, validity: KeyValidity): Promise<KeySummary>
  list(): Promise<readonly KeySummary[]>
  /** Undefined if the backend takes no key from outside. The callee zeroes `material`. */
  import?(name: string, material: Uint8Array, validity: KeyValidity): Promise<KeySummary>
  /** Undefined if the backend cannot disable a key. */
  setEnabled?(name: string, enabled: boolean): Promise<KeySummary>
}
