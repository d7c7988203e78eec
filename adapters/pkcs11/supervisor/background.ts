import type { Job } from './job.ts'

/** It lets waiting calls go first for so long, so that it gets on however busy the token is. */
const PATIENCE_MS = 30
/** Where it has cost a host, it waits for the next at most so long. */
const HOST_BACK_MS = 15_000

/** Calls that nobody waits for. They have one host at most, and where they have cost one they wait until it is replaced. */
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

  /** Takes out all. */
  clear(): Job[] {
    return this.#jobs.splice(0)
  }

  /** Until there are so many hosts. */
  hold(hosts: number): void {
    this.#held = { hosts, until: performance.now() + HOST_BACK_MS }
  }

  isHeld(hosts: number): boolean {
    if (this.#held === undefined) return false
    if (hosts >= this.#held.hosts || performance.now() > this.#held.until) this.#held = undefined
    return this.#held !== undefined
  }
}
