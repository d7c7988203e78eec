import { availableParallelism } from 'node:os'
import type { BackendConfig } from '../backends/kinds.ts'
import type { Limits } from '../config/schema.ts'

/** Which of how many processes this is: what an operator allows the gateway is divided among them. */
export interface Share {
  /** From 0. */
  readonly index: number
  readonly count: number
}

export const whole: Share = { index: 0, count: 1 }

/** This process's part of `total`, at least 1. */
export const shareOf = (total: number, { index, count }: Share): number =>
  Math.max(1, Math.floor(total / count) + (index < total % count ? 1 : 0))

/** What a backend gets where the settings leave it open, as its adapter would choose for one process. */
const sessionsByDefault = () => Math.min(4, Math.max(2, availableParallelism()))
const CONNECTIONS_BY_DEFAULT = 8

/** The settings of a backend for one process of several. */
export function shareBackend(settings: BackendConfig, share: Share): BackendConfig {
  if (share.count === 1) return settings
  const { concurrency, queue } = settings
  const bounded = { ...settings, concurrency: shareOf(concurrency, share), queue: shareOf(queue, share) }
  switch (bounded.kind) {
    case 'pkcs11':
      return { ...bounded, sessions: shareOf(bounded.sessions ?? sessionsByDefault(), share) }
    case 'kmip':
      return { ...bounded, connections: shareOf(bounded.connections ?? CONNECTIONS_BY_DEFAULT, share) }
    case 'software':
      return bounded
  }
}

export const shareLimits = (limits: Limits, share: Share): Limits => ({
  ...limits,
  maxConnections: shareOf(limits.maxConnections, share),
  maxUnverifiedConnections: shareOf(limits.maxUnverifiedConnections, share),
})
