import type { CallSignal } from './call-signal.ts'

/** Where a key lives in its backend. It comes from configuration, never unchecked from a request. */
export type KeyRef = string & { readonly __keyRef: unique symbol }

/** What every call carries. */
export interface CallContext {
  /** Fires at the deadline, when the caller has gone, or at shutdown; `reason` is the `AdapterError` that says which. */
  readonly signal: CallSignal
  /** The same deadline on `performance.now()`'s clock, in milliseconds, for work that cannot be aborted. */
  readonly deadline: number
  /** Azure's `correlation_id`, for backends that can log it; at most 256 characters, not trusted. */
  readonly correlationId: string
}
