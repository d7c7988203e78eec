import type { CallSignal } from '../../contract/index.ts'
import type { KmipRefusal } from '../protocol/operation.ts'

/** One way to do one algorithm with one key. Its results have been checked against known answers before it is used. */
export interface Way {
  readonly kind: 'native' | 'composed' | 'exported'
  /** Rejects with KmipRefusal, with the signal's reason or with an AdapterError. */
  wrap(plaintext: Uint8Array, signal: CallSignal): Promise<Uint8Array>
  /** The same, and `CIPHERTEXT_INVALID`. */
  unwrap(ciphertext: Uint8Array, signal: CallSignal): Promise<Uint8Array>
  /**
   * Unwraps once more after a refusal that can mean a bad ciphertext or a failing server, in one message with a value that
   * must unwrap. Rejects with `CIPHERTEXT_INVALID` if only `ciphertext` is refused, else with `BACKEND_UNAVAILABLE`.
   */
  unwrapAgain(ciphertext: Uint8Array, refusal: KmipRefusal, signal: CallSignal): Promise<Uint8Array>
}
