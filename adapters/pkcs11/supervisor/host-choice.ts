import type { Host } from './host.ts'
import type { Job } from './job.ts'

/**
 * Calls given to a host before the first has returned, by weight. It saves the host a wait between calls, and lets it
 * send the blocks of several key wraps to the token at once. An RSA private operation is slow enough to need neither.
 */
export const PIPELINE = 16
/** For so long after an AES call one host is kept for its like. */
const KEEP_MS = 1000

/** Which host has the next call: what is quick waits behind nothing slow while there is another host. */
export class HostChoice {
  #quickUntil = 0

  /** A call has come. */
  noted({ pace, weight }: Job): void {
    if (pace !== undefined && weight === 1) this.#quickUntil = performance.now() + KEEP_MS
  }

  /** The least busy one that may have `job`, of those that are `ready`. */
  of(ready: readonly Host[], job: Job): Host | undefined {
    const serving = ready.filter((host) => !host.stalled)
    const free = serving.filter((host) => !host.hasSlow)
    if (job.isSlow) {
      const kept = ready.length > 1 && performance.now() < this.#quickUntil ? 1 : 0
      return free.length > kept ? leastBusy(free) : undefined
    }
    return leastBusy(free.length > 0 ? free : serving)
  }
}

function leastBusy(hosts: readonly Host[]): Host | undefined {
  let best: Host | undefined
  for (const host of hosts) {
    if (host.load >= PIPELINE) continue
    if (best === undefined || host.load < best.load) best = host
  }
  return best
}
