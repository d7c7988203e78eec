/**
 * Tells once that a call is to stop. It is the part of the platform's AbortSignal that adapters need, so an AbortSignal
 * can be passed as one. The gateway does not use AbortSignal itself: to create one and listen to it costs as much as a
 * key wrap. For an API that takes only an AbortSignal, make one: `signal.addEventListener('abort', () =>
 * controller.abort(signal.reason))`.
 */
export interface CallSignal {
  readonly aborted: boolean
  /** Why it fired; undefined before. */
  readonly reason: unknown
  /** Throws the reason if it has fired. */
  throwIfAborted(): void
  /**
   * Calls `listener` when the signal fires. A signal that has already fired never calls it. `listener` must not throw.
   */
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}
