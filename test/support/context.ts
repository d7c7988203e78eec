import type { CallContext } from '../../adapters/contract/index.ts'

/** The context that an adapter's caller provides, with a signal of the test's own. */
export const contextOf = (signal: AbortSignal, deadline: number, correlationId: string): CallContext => ({
  signal,
  deadline,
  correlationId,
})
