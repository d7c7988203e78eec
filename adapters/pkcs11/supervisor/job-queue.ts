import type { Job } from './job.ts'
import type { Pace } from './pace.ts'

/** What one key is given before it is another's turn, by weight: enough for calls that a host can do together. */
const TURN = 8

interface Line {
  readonly pace: Pace | undefined
  readonly jobs: Job[]
  /** By weight, since its turn began. */
  given: number
}

/** Calls that wait for a host: those of one key in their order, and the keys in turn. */
export class JobQueue {
  /** None is empty; the first has its turn. */
  readonly #lines: Line[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  push(job: Job): void {
    this.#lineOf(job).jobs.push(job)
    this.#size += 1
  }

  /** Puts calls that were given out back to where they were, oldest first. */
  giveBack(jobs: readonly Job[]): void {
    for (const job of jobs.toReversed()) {
      this.#lineOf(job).jobs.unshift(job)
      this.#size += 1
    }
  }

  /** Takes out the next that `isWanted`. */
  take(isWanted: (job: Job) => boolean): Job | undefined {
    for (const line of this.#lines) {
      const job = line.jobs[0]
      if (job === undefined || !isWanted(job)) continue
      line.jobs.shift()
      line.given += job.weight
      this.#size -= 1
      this.#endTurn(line)
      return job
    }
    return undefined
  }

  /** Takes out all. */
  clear(): Job[] {
    this.#size = 0
    return this.#lines.splice(0).flatMap(({ jobs }) => jobs)
  }

  #lineOf({ pace }: Job): Line {
    const known = this.#lines.find((line) => line.pace === pace)
    if (known !== undefined) return known
    const line = { pace, jobs: [], given: 0 }
    this.#lines.push(line)
    return line
  }

  #endTurn(line: Line): void {
    if (line.jobs.length > 0 && line.given < TURN) return
    this.#lines.splice(this.#lines.indexOf(line), 1)
    line.given = 0
    if (line.jobs.length > 0) this.#lines.push(line)
  }
}
