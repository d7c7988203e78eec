import type { Job } from './job.ts'
import type { Pace } from './pace.ts'

/** The factor by which the slowest call loses weight with each later call. */
const FADING = 0.95
/** Milliseconds in which the answers of calls arrive that went to the token together. */
const TOGETHER_MS = 2

/** How long a host's calls take, as its answers show it. A host does one call after the other. */
export class HostClock {
  #slowestMs = 0
  /** When its oldest call began, on `performance.now()`'s clock. */
  #headSince = performance.now()
  /** The first answer of calls that went to the token together. */
  #first: { readonly pace: Pace | undefined; readonly at: number; readonly ms: number } | undefined
  #aliveAt = performance.now()

  /** Milliseconds of the slowest call of a key that is not slow. Calls from long ago count less. */
  get slowestMs(): number {
    return this.#slowestMs
  }

  /** Milliseconds since its oldest call began. */
  headAge(now: number): number {
    return now - this.#headSince
  }

  /** Milliseconds since its module last returned from a call. */
  silence(now: number): number {
    return now - this.#aliveAt
  }

  /** It has no calls, and gets one. */
  begin(): void {
    this.#headSince = performance.now()
  }

  /** Its module has returned from one of the calls that a piece of work takes. */
  alive(): void {
    this.#aliveAt = performance.now()
  }

  /**
   * It has answered.
   *
   * @param job undefined for a call that it no longer has
   * @param isCall whether the answer shows how long calls take
   */
  answered(job: Job | undefined, isCall: boolean): void {
    const now = performance.now()
    const tookMs = this.#duration(job, now)
    job?.pace?.took(tookMs)
    // A slow key says nothing of the others.
    if (isCall && job?.isSlow !== true) this.#slowestMs = Math.max(FADING * this.#slowestMs, tookMs)
    this.#headSince = now
  }

  /** Of calls that went to the token together, each took as long as the first, not no time. */
  #duration(job: Job | undefined, now: number): number {
    const ms = now - this.#headSince
    const first = this.#first
    if (job?.shares === true && first !== undefined && first.pace === job.pace && now - first.at < TOGETHER_MS) {
      return Math.max(ms, first.ms)
    }
    this.#first = { pace: job?.pace, at: now, ms }
    return ms
  }
}
