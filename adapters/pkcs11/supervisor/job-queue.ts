import type { Job } from './job.ts'
import type { Pace } from './pace.ts'

/**
 * The weight of the calls that one key gets before the next key's turn: enough calls for a host to do together. A slow
 * call is a turn by itself.
 */
const TURN = 8

interface KeyQueue {
  readonly pace: Pace | undefined
  readonly jobs: Job[]
  /** The weight of the calls since its turn began. */
  given: number
}

/** Calls that wait for a host. The calls of one key are in order, and the keys take turns. */
export class JobQueue {
  /** Non-empty queues. The first has its turn. */
  readonly #queues: KeyQueue[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  push(job: Job): void {
    this.#queueOf(job).jobs.push(job)
    this.#size += 1
  }

  /** Puts calls that were taken out back to their places, oldest first. */
  giveBack(jobs: readonly Job[]): void {
    for (const job of jobs.toReversed()) {
      this.#queueOf(job).jobs.unshift(job)
      this.#size += 1
    }
  }

  /** Removes and returns the next call that `isWanted`. */
  take(isWanted: (job: Job) => boolean): Job | undefined {
    for (const queue of this.#queues) {
      const job = queue.jobs[0]
      if (job === undefined || !isWanted(job)) continue
      queue.jobs.shift()
      queue.given += job.isSlow && !job.shares ? TURN : job.weight
      this.#size -= 1
      this.#endTurn(queue)
      return job
    }
    return undefined
  }

  /** Removes and returns all calls. */
  clear(): Job[] {
    this.#size = 0
    return this.#queues.splice(0).flatMap(({ jobs }) => jobs)
  }

  #queueOf({ pace }: Job): KeyQueue {
    const known = this.#queues.find((queue) => queue.pace === pace)
    if (known !== undefined) return known
    const queue = { pace, jobs: [], given: 0 }
    this.#queues.push(queue)
    return queue
  }

  #endTurn(queue: KeyQueue): void {
    if (queue.jobs.length > 0 && queue.given < TURN) return
    this.#queues.splice(this.#queues.indexOf(queue), 1)
    queue.given = 0
    if (queue.jobs.length > 0) this.#queues.push(queue)
  }
}
