import { AdapterError, type CallContext } from '../../adapters/contract/index.ts'
import { Call } from './call.ts'

/** Calls in a row that a backend must fail to be taken for down. */
const FAILURES = 5
/** Probes in a row: nobody else may be asking. */
const FAILED_PROBES = 2
/** How long a backend may go unasked before it is probed, and how often one that failed is. */
const QUIET_MS = 5000
const RETRY_MS = 500
/** Longer than any request would wait. */
const PROBE_BUDGET_MS = 2000

export interface BreakerOptions {
  /** Resolves if the backend can serve. */
  readonly probe: (context: CallContext) => Promise<void>
  /** Told whenever the backend is taken for down, or for up again. */
  readonly onChange: (isUp: boolean) => void
}

/**
 * Keeps requests from a backend that is down: they fail at once instead of at their deadline. The backend is probed back
 * twice a second, and then is on probation: one more failure, and it is down again. A backend that nobody asks is probed as
 * well, so that it is known to be down before a request finds out.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #failures = 0
  #failedProbes = 0
  #isOpen = false
  #answeredAt = performance.now()
  #timer: NodeJS.Timeout | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#probeLater(QUIET_MS)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the backend answered when it was last asked or probed. */
  get isReady(): boolean {
    return !this.#isOpen && this.#failedProbes === 0
  }

  /** Throws `BACKEND_UNAVAILABLE` where the backend is down. */
  assertClosed(): void {
    if (this.#isOpen) throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend is down; it is probed twice a second')
  }

  /**
   * What a call came to. Any answer, a refusal too, is the sign of a backend that works.
   *
   * @param now on `performance.now()`'s clock
   */
  note(error?: unknown, now = performance.now()): void {
    const code = error instanceof AdapterError ? error.code : undefined
    if (code === 'BACKEND_UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') {
      this.#failures += 1
      if (this.#failures >= FAILURES) this.#open()
    } else if (code !== undefined && saysNothing.has(code)) {
      return
    } else {
      this.#failures = 0
      this.#failedProbes = 0
      this.#answeredAt = now
    }
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #open(): void {
    if (this.#isOpen || this.#timer === undefined) return
    this.#isOpen = true
    this.#options.onChange(false)
    this.#probeLater(RETRY_MS)
  }

  #probeLater(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#probe(), ms)
    this.#timer.unref()
  }

  async #probe(): Promise<void> {
    if (!this.#isOpen && performance.now() - this.#answeredAt < QUIET_MS) return this.#probeLater(QUIET_MS)
    const call = new Call(PROBE_BUDGET_MS)
    const error: unknown = await call.run(this.#options.probe(call)).catch((reason: unknown) => reason)
    call.end()
    if (this.#timer === undefined) return
    if (error === undefined) {
      this.#failedProbes = 0
      this.#close()
    } else {
      this.#failedProbes += 1
      if (this.#failedProbes >= FAILED_PROBES) this.#open()
    }
    this.#probeLater(this.isReady ? QUIET_MS : RETRY_MS)
  }

  #close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#failures = FAILURES - 1
    this.#options.onChange(true)
  }
}

/** The caller's or the gateway's own affairs. */
const saysNothing: ReadonlySet<string> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED'])
