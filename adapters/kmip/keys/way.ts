import type { CallSignal } from '../../contract/index.ts'
import type { KmipRefusal } from '../protocol/operation.ts'

/** One way to do one algorithm with one key. Its results were checked against known answers before it is used. */
export interface Way {
  readonly kind: 'native' | 'composed' | 'exported'
  /** @throws KmipRefusal, the signal's reason or an AdapterError */
  wrap(plaintext: Uint8Array, signal: CallSignal): Promise<Uint8Array>
  /** @throws as {@link wrap}, and AdapterError `CIPHERTEXT_INVALID` */
  unwrap(ciphertext: Uint8Array, signal: CallSignal): Promise<Uint8Array>
  /**
   * Unwraps once more after a refusal that can mean a bad ciphertext or a failing server. The same message holds a
   * value that must unwrap.
   * @throws AdapterError `CIPHERTEXT_INVALID` if only `ciphertext` is refused, otherwise `BACKEND_UNAVAILABLE`
   */
  unwrapAgain(ciphertext: Uint8Array, refusal: KmipRefusal, signal: CallSignal): Promise<Uint8Array>
}
