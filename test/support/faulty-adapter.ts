import {
  AdapterError,
  type AdapterErrorCode,
  type CallContext,
  type CallSignal,
  type KeyAdapter,
  type KeyRef,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'

/** The faults of the next calls. */
export interface Fault {
  /** Milliseconds by which a call takes longer. */
  readonly delayMs?: number
  /** Holds a call until it resolves. */
  readonly until?: Promise<unknown>
  readonly fail?: AdapterErrorCode
  readonly retryAfterSeconds?: number
  /** A value that is not an AdapterError, as only a bug throws it. */
  readonly bug?: unknown
  /** Limits the fault to calls with keys. Probes still work. */
  readonly ofKeys?: boolean
}

/**
 * A real adapter with faults that the real thing cannot be made to show. Without faults it passes the same contract.
 */
export class FaultyAdapter implements KeyAdapter {
  fault: Fault = {}
  /** Calls with a key; the gateway's probes are not counted. */
  calls: string[] = []
  /** Buffers that operations received and returned, for checks that they are zeroed. */
  readonly buffers: Uint8Array[] = []
  lastSignal: CallSignal | undefined
  readonly #real: KeyAdapter

  constructor(real: KeyAdapter) {
    this.#real = real
  }

  get product() {
    return this.#real.product
  }

  describe(key: KeyRef, context: CallContext) {
    return this.#call('describe', context, () => this.#real.describe(key, context))
  }

  async wrap(key: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext) {
    this.buffers.push(plaintext)
    return this.#keep(await this.#call('wrap', context, () => this.#real.wrap(key, algorithm, plaintext, context)))
  }

  async unwrap(key: KeyRef, algorithm: WrapAlgorithm, ciphertext: Uint8Array, context: CallContext) {
    return this.#keep(await this.#call('unwrap', context, () => this.#real.unwrap(key, algorithm, ciphertext, context)))
  }

  probe(context: CallContext) {
    return this.#call('probe', context, () => this.#real.probe(context))
  }

  close() {
    return this.#real.close()
  }

  #keep(bytes: Uint8Array): Uint8Array {
    this.buffers.push(bytes)
    return bytes
  }

  async #call<T>(name: string, context: CallContext, real: () => Promise<T>): Promise<T> {
    if (name !== 'probe') {
      this.calls.push(name)
      this.lastSignal = context.signal
    }
    const { delayMs, until, fail, bug, retryAfterSeconds, ofKeys } = this.fault
    const result = await real()
    if (ofKeys === true && name === 'probe') return result
    await until
    if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs))
    if (bug !== undefined) throw bug as Error
    if (fail)
      throw new AdapterError(fail, 'a fault of the test', retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
    return result
  }
}
