import type { CallSignal } from '../../contract/index.ts'
import type { Witness } from '../keys/witness.ts'
import type { Finding } from './finding.ts'
import type { Pace } from './pace.ts'

export interface CallOptions {
  /** Ends the wait for the call, not the call itself. */
  readonly signal?: CallSignal
  /** True if a ciphertext is being unwrapped, so that some errors concern the ciphertext. */
  readonly unwrapping?: boolean
  /** How much of a host's pipeline it takes. By default 1. */
  readonly weight?: number
  /** The pace of the calls with the same key, which have a queue of their own. */
  readonly pace?: Pace
  /** True if a host does several with the same key in the time of one. */
  readonly shares?: boolean
  /** True for a call that no caller waits for. Other calls go first. */
  readonly background?: boolean
  /** True for a call in a way that was found to be right. */
  readonly inRightWay?: boolean
  /** Shows whether the key can be used, if the call's failure does not. */
  readonly witness?: Witness
}

/** One request to whichever host takes it, and the promise for its answer. */
export class Job {
  readonly kind: number
  readonly unwrapping: boolean
  readonly weight: number
  readonly pace: Pace | undefined
  readonly shares: boolean
  readonly background: boolean
  readonly inRightWay: boolean
  readonly witness: Witness | undefined
  /** When it was queued, on `performance.now()`'s clock. */
  waitsSince = performance.now()
  readonly promise: Promise<Uint8Array>
  /** True after the session or host that had it was lost. */
  retried = false
  /** True after it was taken back from a host that was busy with another call. */
  recalled = false
  /** What was found out after it had failed on this host, where it is tried once more. */
  judged: { readonly host: object; readonly finding: Finding } | undefined
  #settle: { resolve: (value: Uint8Array) => void; reject: (error: unknown) => void } | undefined
  readonly #signal: CallSignal | undefined
  readonly #aborted: () => void
  #payload: Uint8Array

  /** That of the token that it is for. */
  readonly generation: number

  /** @param payload becomes the job's own and is zeroed at the end */
  constructor(kind: number, payload: Uint8Array, options: CallOptions, generation = 0) {
    this.kind = kind
    this.generation = generation
    const { signal, unwrapping = false, weight = 1, pace, witness } = options
    const { shares = false, background = false, inRightWay = false } = options
    this.#payload = payload
    this.unwrapping = unwrapping
    this.weight = weight
    this.pace = pace
    pace?.key?.begin()
    this.shares = shares
    this.background = background
    this.inRightWay = inRightWay
    this.witness = witness
    this.promise = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject }
    })
    this.#signal = signal
    this.#aborted = () => this.reject(signal?.reason)
    signal?.addEventListener('abort', this.#aborted, { once: true })
  }

  /** Whether calls with other keys should not have to wait behind it. */
  get isSlow(): boolean {
    return this.pace?.isSlow === true
  }

  get payload(): Uint8Array {
    return this.#payload
  }

  /** Replaces the payload by the rest of the work. Both are the job's own. */
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

  /** Zeroes a result that comes too late. */
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
    this.pace?.key?.end()
    this.#signal?.removeEventListener('abort', this.#aborted)
    this.#payload.fill(0)
    return settle
  }
}
