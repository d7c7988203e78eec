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
  /** What `/info` says of the backend unless the operator says otherwise. */
  readonly product: { readonly vendor: string; readonly name: string }

  /** Sessions or connections to the backend that are open now; absent where there is no such thing. */
  readonly connections?: number

  /** Absent where there is nothing to tell an operator beyond what the calls tell. */
  readonly inspection?: KeyInspection | undefined

  /** Whether it is still to be opened, and until then refuses every call. */
  readonly away?: boolean

  /**
   * Public attributes of the key, never the key itself.
   *
   * Rejects with `KEY_NOT_FOUND`, `KEY_DISABLED`, `KEY_UNSUPPORTED`, `KEY_AMBIGUOUS`, `OPERATION_FORBIDDEN`.
   */
  describe(key: KeyRef, context: CallContext): Promise<KeyDescription>

  /**
   * Wraps `plaintext`, whose length the caller has checked against the algorithm's row; the adapter checks it again and
   * rejects with `INPUT_INVALID`. The adapter itself sees whether the key may be used, as of seconds ago. It keeps no reference to `plaintext` once it has settled.
   */
  wrap(key: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array>

  /**
   * Unwraps `ciphertext`. Every failure that depends on the ciphertext (length, padding, integrity, wrong key) is the
   * same `CIPHERTEXT_INVALID`, as nearly as can be after the same time. The result is the caller's to zero.
   */
  unwrap(key: KeyRef, algorithm: WrapAlgorithm, ciphertext: Uint8Array, context: CallContext): Promise<Uint8Array>

  /** Resolves if the backend can serve now. */
  probe(context: CallContext): Promise<void>

  /** Lets go of everything the adapter holds. Idempotent. */
  close(): Promise<void>
}

/** How an adapter tells the operator of something that no call returns, e.g. a key file that became unreadable. */
export type Report = (
  level: 'info' | 'warn' | 'error',
  event: string,
  fields: Readonly<Record<string, string | number | boolean>>,
) => void

/** What a backend's module exports. Both reject with an {@link OperatorError} when the operator must act. */
export interface AdapterModule<Options> {
  open(options: Options, report: Report): Promise<KeyAdapter>
  /** Absent where the backend's keys can only be managed with its own tools. */
  administer?(options: Options): Promise<KeyAdministration>
}

export type KeySpec = { readonly kty: 'oct'; readonly bits: number } | { readonly kty: 'RSA'; readonly bits: number }

/** One line of `keys list`. */
export interface KeySummary extends KeyValidity {
  readonly name: string
  readonly kty: KeyDescription['kty']
  /** Absent where the backend does not say. */
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
  /** Absent where the backend takes no foreign key. `material` is zeroed by the callee. */
  import?(name: string, material: Uint8Array, validity: KeyValidity): Promise<KeySummary>
  /** Absent where the backend cannot disable a key. */
  setEnabled?(name: string, enabled: boolean): Promise<KeySummary>
}
