import {
  AdapterError,
  type AdapterErrorCode,
  type CallContext,
  type CallSignal,
  type KeyAdapter,
  type KeyRef,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'

/** What goes wrong with the next calls. */
export interface Fault {
  /** Milliseconds that a call takes longer. */
  readonly delayMs?: number
  readonly fail?: AdapterErrorCode
  readonly retryAfterSeconds?: number
  /** Something that is not an AdapterError, as only a bug throws it. */
  readonly bug?: unknown
  /** Only keys have it: what the backend is probed by works. */
  readonly ofKeys?: boolean
}

/** A real adapter with faults that the real thing cannot be made to show; without any, it passes the same contract. */
export class FaultyAdapter implements KeyAdapter {
  fault: Fault = {}
  /** Calls with a key; the gateway probes when it likes. */
  calls: string[] = []
  /** What the operations gave or were given, to see whether it is zeroed. */
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
    const { delayMs, fail, bug, retryAfterSeconds, ofKeys } = this.fault
    const result = await real()
    if (ofKeys === true && name === 'probe') return result
    if (delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, delayMs))
    if (bug !== undefined) throw bug as Error
    if (fail)
      throw new AdapterError(fail, 'a fault of the test', retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
    return result
  }
}
