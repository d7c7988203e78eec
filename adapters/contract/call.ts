import type { CallSignal } from './call-signal.ts'

/** Where a key is in its backend. It comes from the configuration. A request's text must be checked first. */
export type KeyRef = string & { readonly __keyRef: unique symbol }

/** What every call carries. */
export interface CallContext {
  /** Fires at the deadline, when the caller has gone, or at shutdown; `reason` is the `AdapterError` that says which. */
  readonly signal: CallSignal
  /** The same deadline in milliseconds on `performance.now()`'s clock, for work that cannot be aborted. */
  readonly deadline: number
  /** Azure's `correlation_id`, for backends that can log it; at most 256 characters, not trusted. */
  readonly correlationId: string
}
