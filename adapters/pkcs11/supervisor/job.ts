import type { CallSignal } from '../../contract/index.ts'
import type { Witness } from '../keys/witness.ts'
import type { Finding } from './finding.ts'
import type { Pace } from './pace.ts'

export interface CallOptions {
  /** Ends the wait, not the call. */
  readonly signal?: CallSignal
  /** A ciphertext is being unwrapped, so that some errors speak of it. */
  readonly unwrapping?: boolean
  /** How much of a host's pipeline it takes; 1 by default. */
  readonly weight?: number
  /** Of the calls with the same key. They wait in a line of their own. */
  readonly pace?: Pace
  /** It gives way to the calls that somebody waits for. */
  readonly background?: boolean
  /** Shows whether the key can be used, where the call's failure does not. */
  readonly witness?: Witness
}

/** One request to whichever host takes it, and the promise that waits for the answer. */
export class Job {
  readonly kind: number
  readonly unwrapping: boolean
  readonly weight: number
  readonly pace: Pace | undefined
  readonly background: boolean
  readonly witness: Witness | undefined
  /** Since when it waits for its turn, by `performance.now()`. */
  waitsSince = performance.now()
  readonly promise: Promise<Uint8Array>
  /** It has been tried on a session or host that was lost with it. */
  retried = false
  /** It was taken back from a host that was busy with another. */
  recalled = false
  /** What was found out after it had failed on this host, on which it is tried once more. */
  judged: { readonly host: object; readonly finding: Finding } | undefined
  #settle: { resolve: (value: Uint8Array) => void; reject: (error: unknown) => void } | undefined
  readonly #signal: CallSignal | undefined
  readonly #aborted: () => void
  #payload: Uint8Array

  /** `payload` becomes the job's own and is zeroed when it is over. */
  constructor(kind: number, payload: Uint8Array, options: CallOptions) {
    this.kind = kind
    const { signal, unwrapping = false, weight = 1, pace, background = false, witness } = options
    this.#payload = payload
    this.unwrapping = unwrapping
    this.weight = weight
    this.pace = pace
    this.background = background
    this.witness = witness
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#signal = signal
    this.#aborted = () => this.reject(signal?.reason)
    signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Whether calls of other kinds should not have to wait behind it. */
  get isSlow(): boolean {
    return this.weight > 1 && this.pace?.isSlow === true
  }

  get payload(): Uint8Array {
    return this.#payload
  }

  /** What is left to do takes the place of what was to be done; both are the job's own. */
  goOnWith(payload: Uint8Array): void {
    if (this.over) {
      payload.fill(0)
      return
    }
    this.#payload.fill(0)
    this.#payload = payload
    this.waitsSince = performance.now()
  }

  get over(): boolean {
    return this.#settle === undefined
  }

  /** A result that comes too late is zeroed. */
  resolve(value: Uint8Array): void {
    const settle = this.#finish()
    if (settle === undefined) value.fill(0)
    else settle.resolve(value)
  }

  reject(error: unknown): void {
    this.#finish()?.reject(error)
  }

  #finish() {
    const settle = this.#settle
    if (settle === undefined) return undefined
    this.#settle = undefined
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#payload.fill(0)
    return settle
  }
}
