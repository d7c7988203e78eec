/**
 * Tells once that a call is to stop: the part of the platform's AbortSignal that adapters need, so that an AbortSignal is
 * one too. It is not an AbortSignal by itself because to make one, and to listen to it, costs as much as a key wrap. For an
 * API that takes nothing else, make one: `signal.addEventListener('abort', () => controller.abort(signal.reason))`.
 */
export interface CallSignal {
  readonly aborted: boolean
  /** Why, once it has fired. */
  readonly reason: unknown
  /** Throws the reason if it has fired. */
  throwIfAborted(): void
  /** Calls `listener` when it fires; never if it has fired already. `listener` must not throw. */
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}
