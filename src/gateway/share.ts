import { rowOf, type BackendConfig } from '../backends/index.ts'
import type { Limits } from '../config/schema.ts'

/** Which of several processes this is. What an operator allows the gateway is divided among them. */
export interface Share {
  /** Counted from 0. */
  readonly index: number
  readonly count: number
}

export const whole: Share = { index: 0, count: 1 }

/** This process's share of `total`, at least 1. */
export const shareOf = (total: number, { index, count }: Share): number =>
  Math.max(1, Math.floor(total / count) + (index < total % count ? 1 : 0))

/** The settings of a backend for one of several processes. */
export function shareBackend(settings: BackendConfig, share: Share): BackendConfig {
  if (share.count === 1) return settings
  const part = (total: number) => shareOf(total, share)
  const { concurrency, queue } = settings
  return { ...rowOf(settings).share(settings, part), concurrency: part(concurrency), queue: part(queue) }
}

export const shareLimits = (limits: Limits, share: Share): Limits => ({
  ...limits,
  maxConnections: shareOf(limits.maxConnections, share),
  maxUnverifiedConnections: shareOf(limits.maxUnverifiedConnections, share),
})
