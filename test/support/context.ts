import type { CallContext } from '../../adapters/contract/index.ts'

/** What an adapter's caller hands it, with a signal of a test's own. */
export const contextOf = (signal: AbortSignal, deadline: number, correlationId: string): CallContext => ({
  signal,
  deadline,
  correlationId,
})
