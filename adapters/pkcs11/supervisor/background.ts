import type { Job } from './job.ts'

/** Milliseconds that it lets queued calls go first. The bound lets it progress on a busy token. */
const PATIENCE_MS = 30
/** The most milliseconds that it waits for the next host after it has cost one. */
const HOST_BACK_MS = 15_000

/**
 * Calls that no caller waits for. They use at most one host. If they have cost a host, they wait until it is replaced.
 */
export class Background {
  #jobs: Job[] = []
  #held: { readonly hosts: number; readonly until: number } | undefined

  get first(): Job | undefined {
    return this.#jobs[0]
  }

  get isImpatient(): boolean {
    const [first] = this.#jobs
    return first !== undefined && performance.now() - first.waitsSince > PATIENCE_MS
  }

  push(job: Job): void {
    this.#jobs.push(job)
  }

  giveBack(jobs: readonly Job[]): void {
    this.#jobs.unshift(...jobs)
  }

  /** Removes and returns all. */
  clear(): Job[] {
    return this.#jobs.splice(0)
  }

  /** Holds the calls until there are this many hosts. */
  hold(hosts: number): void {
    this.#held = { hosts, until: performance.now() + HOST_BACK_MS }
  }

  isHeld(hosts: number): boolean {
    if (this.#held === undefined) return false
    if (hosts >= this.#held.hosts || performance.now() > this.#held.until) this.#held = undefined
    return this.#held !== undefined
  }
}
