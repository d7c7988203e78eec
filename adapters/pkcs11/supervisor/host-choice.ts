import type { Host } from './host.ts'
import type { Job } from './job.ts'
import type { PacedKey } from './pace.ts'

/**
 * How many calls, by weight, a host gets before the first has returned. The host then need not wait between calls, and
 * can send the blocks of several key wraps to the token at once. RSA private operations are slow enough to need
 * neither.
 */
export const PIPELINE = 16

/** The hosts among which one is chosen. */
export interface Hosts {
  readonly ready: readonly Host[]
  /** How many serve, or will in a moment. */
  readonly expected: number
}

/**
 * The least busy host that may get `job`. No key takes every host while others are in use: any call may be the first
 * that takes long. No call is given to one of several hosts while it has a slow one; the next that is free takes it.
 *
 * @param mayJoin whether a slow call may join others of its key, which keeps their host from other slow keys
 */
export function hostFor(job: Job, hosts: Hosts, mayJoin: boolean): Host | undefined {
  const { isSlow, pace } = job
  const { ready } = hosts
  const isOnly = ready.length === 1 && !isSlow
  const free = ready.filter((host) => !host.stalled && (isOnly || !host.hasSlow))
  const isBesideOthers = pace?.isBesideOthers === true
  if (!isSlow && !isBesideOthers) return leastBusy(free)
  const tried = ready.filter((host) => host.isTriedBy(pace?.key))
  const untried = free.filter((host) => !tried.includes(host))
  if (isSlow) {
    const own = untried.length > (isBesideOthers ? keptFrom(job, hosts) : 0) ? untried : []
    return leastBusy([...own, ...(mayJoin ? ready.filter((host) => mayShare(host, job)) : [])])
  }
  if (tried.length === 0 || untried.length > 1) return leastBusy(free)
  const triedAndFree = free.filter((host) => tried.includes(host))
  return leastBusy(triedAndFree) ?? (areInTime(tried, pace?.key) ? leastBusy(untried) : undefined)
}

/**
 * How many hosts a slow call leaves to other keys: one, unless keys that are slower still have all others. A key that
 * has cost a host leaves the others one until it is replaced.
 */
function keptFrom(job: Job, { ready, expected }: Hosts): number {
  const hosts = job.pace?.key?.hasHung === true ? expected : ready.length
  return hosts - ready.filter((host) => host.isSlowerThan(job)).length > 1 ? 1 : 0
}

const mayShare = (host: Host, job: Job): boolean => !host.stalled && host.hasSlow && host.sharesSlow(job)

/** Whether these hosts are full of calls with `key` that are answered in time, one after another. */
function areInTime(tried: readonly Host[], key: PacedKey | undefined): boolean {
  const now = performance.now()
  return key !== undefined && tried.every((host) => host.keepsUpWith(key) && !host.isLate(now))
}

function leastBusy(hosts: readonly Host[]): Host | undefined {
  let best: Host | undefined
  for (const host of hosts) {
    if (host.load >= PIPELINE) continue
    if (best === undefined || host.load < best.load) best = host
  }
  return best
}
