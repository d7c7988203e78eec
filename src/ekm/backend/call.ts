import { AdapterError, type CallContext } from '../../../adapters/contract/index.ts'
import { Deadlines, type Timed } from '../../base/deadlines.ts'
import type { Place } from '../../base/line.ts'
import { StopSignal } from './stop-signal.ts'

/**
 * One request's time: its deadline, and the reasons to stop before it. Adapters see it as their {@link CallContext}.
 * Whoever makes one must {@link Call.end} it.
 */
export class Call implements CallContext, Timed {
  /** When it began, on `performance.now()`'s clock, as its deadline. */
  readonly start = performance.now()
  readonly deadline: number
  correlationId = ''
  /** The backend that was asked last. */
  backend: string | undefined
  /** Whether it was asked in place of another, which is down. */
  standby = false
  /** Milliseconds spent waiting for the backend; `undefined` until it is asked. */
  backendMs: number | undefined
  readonly #deadlines: Deadlines
  readonly #place: Place<Timed>
  readonly signal = new StopSignal()
  #onStop: ((reason: AdapterError) => void) | undefined

  /** @param budget milliseconds from now to the deadline, or what many calls have in common that are given the same */
  constructor(budget: number | Deadlines) {
    this.#deadlines = typeof budget === 'number' ? new Deadlines(budget) : budget
    this.deadline = this.start + this.#deadlines.budgetMs
    this.#place = this.#deadlines.add(this)
  }

  /** Stops what runs on behalf of this call. Only the first reason counts. */
  stop(reason: AdapterError): void {
    if (this.signal.aborted) return
    this.signal.fire(reason)
    this.#onStop?.(reason)
  }

  timeUp(): void {
    this.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'))
  }

  end(): void {
    this.#deadlines.remove(this.#place)
  }

  /**
   * Waits for `work`, but not longer than the call lasts: if it is stopped first, rejects at once with the reason, and
   * `discard` gets what `work` brings later. One piece of work at a time.
   *
   * @param onSettled is told when `work` has ended, however late
   */
  run<T>(work: Promise<T>, discard?: (late: T) => void, onSettled?: () => void): Promise<T> {
    return this.wait((resolve, reject) => {
      work.then(
        (value) => {
          onSettled?.()
          if (this.signal.aborted) discard?.(value)
          else resolve(value)
        },
        (error: unknown) => {
          onSettled?.()
          reject(error)
        },
      )
    })
  }

  /** As {@link Call.run}, for work that tells of its end by callback, and sees by the signal that nobody waits any more. */
  wait<T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#onStop = reject
      if (this.signal.reason) reject(this.signal.reason)
      begin(resolve, reject)
    })
  }
}
