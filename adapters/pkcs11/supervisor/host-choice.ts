import type { Host } from './host.ts'
import type { Job } from './job.ts'

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
export function hostFor(job: Job, { ready, expected }: Hosts, mayJoin: boolean): Host | undefined {
  const { pace, isSlow } = job
  const key = pace?.key
  const isOnly = ready.length === 1 && !isSlow
  const free = ready.filter((host) => !host.stalled && (isOnly || !host.hasSlow))
  if (!isSlow && (key === undefined || !pace?.isBesideOthers)) return leastBusy(free)
  const now = performance.now()
  const tried = key === undefined ? [] : ready.filter((host) => host.isTriedBy(key, now))
  const untried = free.filter((host) => !tried.includes(host))
  if (isSlow) {
    // One host is left to quicker keys, unless keys that are slower still have all others. A key that has cost a host
    // leaves the others one until it is replaced.
    const hosts = key?.hasHung === true ? expected : ready.length
    const slower = key === undefined ? [] : ready.filter((host) => host.isSlowerThan(job, now))
    const within = hosts - slower.length
    const mayDelay = pace?.isBesideQuicker === true || (pace?.isBesideOthers === true && tried.length > 0)
    const kept = within > 1 && mayDelay ? 1 : 0
    // Calls that no caller waits for give way soon.
    const yielding = ready.filter((host) => host.hasBackground && !host.stalled && !untried.includes(host))
    const joined = mayJoin ? ready.filter((host) => !host.stalled && host.hasSlow && host.sharesSlow(job)) : []
    return leastBusy([...(untried.length + yielding.length > kept ? untried : []), ...joined])
  }
  if (key === undefined || tried.length === 0 || untried.length > 1) return leastBusy(free)
  // The last host is used if the others are full of calls that are answered in time, one after another.
  const areInTime = tried.every((host) => host.keepsUpWith(key) && !host.isLate(now))
  return leastBusy(free.filter((host) => tried.includes(host))) ?? (areInTime ? leastBusy(untried) : undefined)
}

function leastBusy(hosts: readonly Host[]): Host | undefined {
  let best: Host | undefined
  for (const host of hosts) {
    if (host.load >= PIPELINE) continue
    if (best === undefined || host.load < best.load) best = host
  }
  return best
}
