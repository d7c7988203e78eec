import { AdapterError, type CallContext } from '../../adapters/contract/index.ts'

/**
 * One request's time: its deadline, and the reasons to stop before it. Adapters see it as their {@link CallContext}.
 * Whoever makes one must {@link Call.end} it.
 */
export class Call implements CallContext {
  readonly deadline: number
  correlationId = ''
  /** The backend that was asked last. */
  backend: string | undefined
  /** Whether it was asked in place of another, which is down. */
  standby = false
  /** Milliseconds spent waiting for the backend; `undefined` until it is asked. */
  backendMs: number | undefined
  readonly #timer: NodeJS.Timeout
  #controller: AbortController | undefined
  #stopped: AdapterError | undefined
  #onStop: ((reason: AdapterError) => void) | undefined

  /** @param budgetMs milliseconds from now to the deadline */
  constructor(budgetMs: number) {
    this.deadline = performance.now() + budgetMs
    this.#timer = setTimeout(() => this.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')), budgetMs)
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#stopped) this.#controller.abort(this.#stopped)
    }
    return this.#controller.signal
  }

  throwIfStopped(): void {
    if (this.#stopped) throw this.#stopped
  }

  /** Stops what runs on behalf of this call. Only the first reason counts. */
  stop(reason: AdapterError): void {
    if (this.#stopped) return
    this.#stopped = reason
    this.#controller?.abort(reason)
    this.#onStop?.(reason)
  }

  end(): void {
    clearTimeout(this.#timer)
  }

  /**
   * Waits for `work`, but not longer than the call lasts: if it is stopped first, rejects at once with the reason, and
   * `discard` gets what `work` brings later. One piece of work at a time.
   */
  run<T>(work: Promise<T>, discard?: (late: T) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#onStop = reject
      if (this.#stopped) reject(this.#stopped)
      work.then(
        (value) => {
          if (this.#stopped) discard?.(value)
          else resolve(value)
          this.#onStop = undefined
        },
        (error: unknown) => {
          reject(error)
          this.#onStop = undefined
        },
      )
    })
  }
}
