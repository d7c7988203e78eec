import { AdapterError, type CallContext } from '../../../adapters/contract/index.ts'
import { Call } from './call.ts'

/** Probes in a row that say that a backend is down, where no call says so too. */
const FAILED_PROBES = 2
/** How long a backend may go unheard before it is probed, and how often one that failed is. */
const QUIET_MS = 5000
const RETRY_MS = 500
/** The least time from one probe to the next while calls fail. */
const DOUBT_MS = 250
/** For a probe that failed calls wait for; it should be known soon. */
const DOUBT_BUDGET_MS = 500
/** Longer than any request would wait. */
const PROBE_BUDGET_MS = 1000

export interface BreakerOptions {
  /** Resolves if the backend can serve. */
  readonly probe: (context: CallContext) => Promise<void>
  /** Told whenever the backend is taken for up again, or for down, and then what its last probe came to. */
  readonly onChange: (evidence?: AdapterError) => void
}

/**
 * Keeps requests from a backend that is down: they fail at once instead of at their deadline. A probe decides, and never a
 * call: one that is late or fails may have a key, a pool or a client to blame, and only has the backend probed at once. A
 * backend that nobody hears of is probed as well, so that it is known to be down before a request finds out.
 */
export class Breaker {
  readonly #options: BreakerOptions
  #isOpen = false
  /** A call failed since the last probe began. */
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

  /** Whether the backend answered when it was last probed. */
  get isReady(): boolean {
    return !this.#isOpen && this.#failedProbes === 0
  }

  /** Throws `BACKEND_UNAVAILABLE` where the backend is down. */
  assertClosed(): void {
    if (this.#isOpen) throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend is down; it is probed twice a second')
  }

  /** The backend itself has just done something with a key. */
  answered(now: number): void {
    this.#answeredAt = now
  }

  /** A call failed, or was not answered in the time that it had. */
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
      return error instanceof AdapterError ? error : new AdapterError('BACKEND_UNAVAILABLE', 'the probe has a bug')
    } finally {
      call.end()
    }
  }

  /** What works for keys is alive, however late its probe. */
  #isOnlyBusy({ code }: AdapterError, start: number): boolean {
    return code === 'DEADLINE_EXCEEDED' && this.#answeredAt > start
  }

  /** One refusal is enough where a call failed too. Silence can be a moment's, of this process too: it has to last. */
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

/** The adapter's or the gateway's own affairs. */
const saysNothing: ReadonlySet<string> = new Set(['BACKEND_BUSY', 'CANCELLED', 'CLOSED'])
