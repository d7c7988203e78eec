import { AdapterError } from '../../adapters/contract/index.ts'

/** A token bucket: `perSecond` requests on average, and a burst of that many after a quiet second. */
export class RateLimit {
  readonly #perSecond: number
  readonly #onRejection: () => void
  #tokens: number
  #at = performance.now()

  constructor(perSecond: number, onRejection: () => void = () => undefined) {
    this.#perSecond = perSecond
    this.#onRejection = onRejection
    this.#tokens = perSecond
  }

  /** @throws AdapterError `BACKEND_BUSY` if the limit is reached */
  take(): void {
    const now = performance.now()
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    if (this.#tokens >= 1) {
      this.#tokens -= 1
      return
    }
    this.#onRejection()
    throw new AdapterError('BACKEND_BUSY', 'the pool has reached its limit of requests per second', {
      retryAfterSeconds: Math.ceil((1 - this.#tokens) / this.#perSecond),
    })
  }
}
