import { AdapterError, type CallContext } from '../../../adapters/contract/index.ts'
import { Call } from './call.ts'

/** How many probes must fail in a row before the backend counts as down, if no call has failed. */
const FAILED_PROBES = 2
/** Milliseconds without an answer before the backend is probed, and between probes of a backend that failed. */
const QUIET_MS = 5000
const RETRY_MS = 500
/** The minimum of milliseconds between probes while calls fail. */
const DOUBT_MS = 250
/** Milliseconds for a probe after a failed call. Calls wait for its result, so it must come soon. */
const DOUBT_BUDGET_MS = 500
/** Milliseconds for any other probe; longer than any request would wait. */
const PROBE_BUDGET_MS = 1000

export interface BreakerOptions {
  /** Resolves if the backend can serve. */
  readonly probe: (context: CallContext) => Promise<void>
  /** Called whenever the backend counts as up again, or as down; then with the last probe's failure. */
  readonly onChange: (evidence?: AdapterError) => void
}

/**
 * Keeps requests from a backend that is down, so that they fail at once instead of at their deadline. Only a probe
 * decides, never a call: the cause of a late or failed call may be a key, a pool or a client. Such a call only causes a
 * probe at once. A backend without calls is probed too, so that it is known to be down before a request finds out.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #isOpen = false
  /** A call has failed since the last probe began. */
  #isDoubted = false
  #isProbing = false
  #failedProbes = 0
  #answeredAt = performance.now()
  #probedAt = -Infinity
  #timer: NodeJS.Timeout | undefined

  constructor(options: BreakerOptions) {
    this.#options = options
    this.#probeLater(QUIET_MS)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the backend answered the last probe. */
  get isReady(): boolean {
    return !this.#isOpen && this.#failedProbes === 0
  }

  /** @throws AdapterError `BACKEND_UNAVAILABLE` if the backend is down */
  assertClosed(): void {
    if (this.#isOpen)
      throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend is down; the gateway probes it twice a second')
  }

  /** Records that the backend itself has just used a key. */
  answered(now: number): void {
    this.#answeredAt = now
  }

  /** Records that a call failed, or was not answered within its time. */
  doubt(): void {
    if (this.#isDoubted || this.#timer === undefined) return
    this.#isDoubted = true
    if (!this.#isOpen && !this.#isProbing) this.#probeLater(this.#probedAt + DOUBT_MS - performance.now())
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #probeLater(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.#probe(), Math.max(0, ms))
    this.#timer.unref()
  }

  async #probe(): Promise<void> {
    const start = performance.now()
    if (this.isReady && !this.#isDoubted && start - this.#answeredAt < QUIET_MS) return this.#probeLater(QUIET_MS)
    const doubted = this.#isDoubted || this.#failedProbes > 0
    this.#isDoubted = false
    this.#isProbing = true
    const error = await this.#ask(!this.#isOpen && doubted ? DOUBT_BUDGET_MS : PROBE_BUDGET_MS)
    this.#isProbing = false
    this.#probedAt = performance.now()
    if (this.#timer === undefined) return
    if (error === undefined) this.#close()
    else if (!saysNothing.has(error.code) && !this.#isOnlyBusy(error, start)) this.#failed(error, doubted)
    this.#probeLater(this.#nextProbeMs())
  }

  async #ask(budgetMs: number): Promise<AdapterError | undefined> {
    const call = new Call(budgetMs)
    try {
      await call.run(this.#options.probe(call))
      return undefined
    } catch (error) {
      return error instanceof AdapterError
        ? error
        : new AdapterError('BACKEND_UNAVAILABLE', 'the probe failed by an internal error')
    } finally {
      call.end()
    }
  }

  /** A backend that uses keys is alive, however late its probe. */
  #isOnlyBusy({ code }: AdapterError, start: number): boolean {
    return code === 'DEADLINE_EXCEEDED' && this.#answeredAt > start
  }

  /**
   * If a call has failed too, one refusal is enough. Silence must last, because it can be momentary, or this process's
   * own.
   */
  #failed(error: AdapterError, doubted: boolean): void {
    this.#failedProbes += 1
    const isPlain = (doubted || this.#isDoubted) && error.code === 'BACKEND_UNAVAILABLE'
    if (this.#isOpen || (!isPlain && this.#failedProbes < FAILED_PROBES)) return
    this.#isOpen = true
    this.#options.onChange(error)
  }

  #close(): void {
    this.#failedProbes = 0
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#options.onChange()
  }

  #nextProbeMs(): number {
    if (this.#isOpen) return RETRY_MS
    return this.#isDoubted || this.#failedProbes > 0 ? DOUBT_MS : QUIET_MS
  }
}

/** These codes concern the adapter or the gateway. */
const saysNothing: ReadonlySet<string> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED'])
