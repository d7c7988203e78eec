import { rowOf } from '../backends/index.ts'
import { descriptorLimit } from '../base/descriptor-limit.ts'
import type { Config } from '../config/schema.ts'
import type { Log } from '../telemetry/log.ts'
import { shareBackend, shareLimits, type Share } from './share.ts'

/** What Node.js itself, the log, the files of a reload and the admin port take, which has 256 connections at most. */
const OWN = 384

/** How many descriptors a process may need at a time that serves this share. */
export function descriptorsNeeded({ limits, backends }: Config, share: Share): number {
  const { maxConnections, maxUnverifiedConnections } = shareLimits(limits, share)
  const ofBackends = Object.values(backends).map((settings) =>
    rowOf(settings).descriptors(shareBackend(settings, share)),
  )
  return [OWN, maxConnections, maxUnverifiedConnections, ...ofBackends].reduce((sum, part) => sum + part)
}

export interface DescriptorShortage {
  readonly limit: number
  readonly needed: number
}

/** `undefined` where there are enough, or where the system does not say. */
export async function descriptorShortage(config: Config, share: Share): Promise<DescriptorShortage | undefined> {
  const limit = await descriptorLimit()
  const needed = descriptorsNeeded(config, share)
  return limit === undefined || limit >= needed ? undefined : { limit, needed }
}

/** Told at the start, because nothing else would tell before the connections are there. */
export async function tellDescriptors(log: Log, config: Config, share: Share): Promise<void> {
  const shortage = await descriptorShortage(config, share)
  if (shortage === undefined) return
  const { limit, needed } = shortage
  log.warn('descriptor_limit_low', { limit, needed, message: RAISE_LIMIT })
}

export const RAISE_LIMIT =
  'connections will be refused before limits.maxConnections is reached: raise LimitNOFILE of the service, or ulimit -n; or lower limits.maxConnections'
