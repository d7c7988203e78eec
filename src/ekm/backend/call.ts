import { AdapterError, type CallContext } from '../../../adapters/contract/index.ts'
import { Deadlines, type Timed } from '../../base/deadlines.ts'
import type { Place } from '../../base/queue.ts'
import { StopSignal } from './stop-signal.ts'

/**
 * The time of one request: its deadline, and the reasons to stop earlier. Adapters see it as their {@link CallContext}.
 * Whoever creates one must call {@link Call.end}.
 */
export class Call implements CallContext, Timed {
  /** When it began, on `performance.now()`'s clock, like its deadline. */
  readonly start = performance.now()
  readonly deadline: number
  correlationId = ''
  /** The backend that was asked last. */
  backend: string | undefined
  /** Whether that backend was asked as a standby. */
  standby = false
  /** Milliseconds spent waiting for the backend. Undefined until it is asked. */
  backendMs: number | undefined
  readonly #deadlines: Deadlines
  readonly #place: Place<Timed>
  readonly signal = new StopSignal()
  #onStop: ((reason: AdapterError) => void) | undefined

  /** @param budget milliseconds from now to the deadline, or the deadlines that many calls share */
  constructor(budget: number | Deadlines) {
    this.#deadlines = typeof budget === 'number' ? new Deadlines(budget) : budget
    this.deadline = this.start + this.#deadlines.budgetMs
    this.#place = this.#deadlines.add(this)
  }

  /** Stops the work of this call. Only the first reason counts. */
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
   * Waits for `work`, but only until the call is stopped; it then rejects at once with the reason. One piece of work at
   * a time.
   *
   * @param discard gets a result that comes later
   * @param onSettled called when `work` has ended, however late
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

  /**
   * Like {@link Call.run}, for work that reports its end by callback, and learns from the signal that nobody waits any
   * more.
   */
  wait<T>(begin: (resolve: (value: T) => void, reject: (error: unknown) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#onStop = reject
      if (this.signal.reason) reject(this.signal.reason)
      begin(resolve, reject)
    })
  }
}
