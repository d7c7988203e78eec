import {
  AdapterError,
  OperatorError,
  type CallContext,
  type KeyAdapter,
  type KeyDescription,
  type KeyInspection,
  type KeyRef,
  type Report,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import { describeBug } from '../telemetry/bug.ts'

/** Opens a backend. A backend that cannot be reached is reported, and can be opened later. */
export async function openOrAwait(open: () => Promise<KeyAdapter>, report: Report): Promise<KeyAdapter> {
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof OperatorError) || !error.transient) throw error
    const advice =
      'the gateway tries again until the backend answers; correct the configuration if it names the wrong one'
    report('error', 'backend_away', { reason: error.code, message: `${error.message}; ${advice}` })
    return new AwaitedAdapter(open, report)
  }
}

/** The adapter of a backend that could not be reached at start. It refuses every call until the backend is open. */
export class AwaitedAdapter implements KeyAdapter {
  readonly #open: () => Promise<KeyAdapter>
  readonly #report: Report
  #adapter: KeyAdapter | undefined
  #attempt: Promise<void> | undefined
  #isGivenUp = false
  #isClosed = false

  constructor(open: () => Promise<KeyAdapter>, report: Report) {
    this.#open = open
    this.#report = report
  }

  get away(): boolean {
    return this.#adapter === undefined
  }

  /** True after a failure that another attempt would not help and might make worse, such as a refused PIN. */
  get isGivenUp(): boolean {
    return this.#isGivenUp
  }

  get product(): KeyAdapter['product'] {
    return this.#adapter?.product ?? { vendor: 'unknown', name: 'unknown' }
  }

  get connections(): number {
    return this.#adapter?.connections ?? 0
  }

  get connectionsWanted(): number | undefined {
    return this.#adapter?.connectionsWanted
  }

  get inspection(): KeyInspection | undefined {
    return this.#adapter?.inspection
  }

  /** Allows another attempt after one that was given up: what stood against it may be mended. */
  reconsider(): void {
    this.#isGivenUp = false
  }

  /** Makes one attempt to open the backend, if that can help. */
  async tryAgain(): Promise<void> {
    if (!this.away || this.#isGivenUp || this.#isClosed) return
    this.#attempt ??= this.#try().finally(() => (this.#attempt = undefined))
    await this.#attempt
  }

  async #try(): Promise<void> {
    try {
      const adapter = await this.#open()
      if (this.#isClosed) return await adapter.close()
      this.#adapter = adapter
      this.#report('info', 'backend_open', {})
    } catch (error) {
      // A reload has replaced it, and other settings are tried by now.
      if (this.#isClosed) return
      if (error instanceof OperatorError && error.transient) return
      this.#isGivenUp = true
      if (error instanceof OperatorError) {
        this.#report('error', 'backend_given_up', { reason: error.code, message: error.message })
      } else this.#report('error', 'internal_error', { stack: String(describeBug(error)['stack']) })
    }
  }

  async describe(key: KeyRef, context: CallContext): Promise<KeyDescription> {
    return this.#opened().describe(key, context)
  }

  async wrap(key: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    return this.#opened().wrap(key, algorithm, plaintext, context)
  }

  async unwrap(
    key: KeyRef,
    algorithm: WrapAlgorithm,
    ciphertext: Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array> {
    return this.#opened().unwrap(key, algorithm, ciphertext, context)
  }

  async probe(context: CallContext): Promise<void> {
    return this.#opened().probe(context)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#adapter?.close()
  }

  #opened(): KeyAdapter {
    if (this.#adapter !== undefined) return this.#adapter
    if (this.#isClosed) throw new AdapterError('CLOSED', 'the adapter is closed')
    throw new AdapterError('BACKEND_UNAVAILABLE', 'the backend could not be reached at start and is not open yet')
  }
}
