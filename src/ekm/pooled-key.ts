import { randomBytes, timingSafeEqual } from 'node:crypto'
import { AdapterError, type KeyDescription, type KeyRef, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import type { Backend, Described } from './backend/backend.ts'
import type { Call } from './backend/call.ts'
import { Flow, type Lane } from './backend/flow.ts'

/** A key where it lives, for one pool. */
export class KeyPlace {
  readonly #backend: Backend
  readonly #ref: KeyRef
  readonly #describes: Flow
  readonly #wraps: Flow
  readonly #unwraps: Flow

  constructor(backend: Backend, ref: KeyRef, lane: Lane) {
    this.#backend = backend
    this.#ref = ref
    this.#describes = new Flow(lane, 'describe', ref)
    this.#wraps = new Flow(lane, 'wrap', ref)
    this.#unwraps = new Flow(lane, 'unwrap', ref)
  }

  /** Whether its backend is still to be opened. */
  get isAway(): boolean {
    return this.#backend.status.away
  }

  /** As {@link Backend.prepare} says. */
  prepare(call: Call): Promise<void> {
    return this.#backend.prepare(this.#ref, call)
  }

  /** Whether its backend is. */
  get isReady(): boolean {
    return this.#backend.status.ready
  }

  describe(call: Call): Promise<KeyDescription> {
    return this.#backend.describe(this.#describes, call)
  }

  /** The key's description as it was fetched last, if it was. */
  recall(): Described | undefined {
    return this.#backend.recall(this.#ref)
  }

  wrap(algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#backend.wrap(this.#wraps, algorithm, plaintext, call)
  }

  unwrap(algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#backend.unwrap(this.#unwraps, algorithm, ciphertext, call)
  }

  /** Whether both are one key of one adapter, whatever the limits of its use. */
  isSame(other: KeyPlace): boolean {
    return this.#ref === other.#ref && this.#backend.sharesAdapter(other.#backend)
  }
}

/** Whether two places hold one key: `unproven` until both could be asked. */
export type Likeness = 'unproven' | 'same' | 'different'

/**
 * A key of a pool, and perhaps a second backend that holds the same key, for when the first is down. A data key that was
 * wrapped under another key would be lost: the standby wraps nothing before both backends have shown that their keys are
 * the same.
 */
export class PooledKey {
  readonly #primary: KeyPlace
  readonly #standby: KeyPlace | undefined
  #likeness: Likeness = 'unproven'

  constructor(primary: KeyPlace, standby?: KeyPlace) {
    this.#primary = primary
    this.#standby = standby
  }

  /** Whether its place is still to be opened. */
  get isAway(): boolean {
    return this.#primary.isAway
  }

  /** Waits until it can be used at its place without a wait. */
  prepare(call: Call): Promise<void> {
    return this.#primary.prepare(call)
  }

  /** Whether it can be used in full: at its place, or at a standby that was proven. */
  get isReady(): boolean {
    return this.#primary.isReady || (this.#likeness === 'same' && this.#standby?.isReady === true)
  }

  /** `undefined` where there is no standby. */
  get likeness(): Likeness | undefined {
    return this.#standby && this.#likeness
  }

  /**
   * Does `work` at the key's place, or at its standby if the first cannot be reached. `work` may be called twice; where
   * there is no standby, what it throws is thrown and no rejection.
   */
  use<T>(call: Call, operation: 'read' | 'wrap' | 'unwrap', work: (place: KeyPlace) => Promise<T>): Promise<T> {
    return this.#standby === undefined ? work(this.#primary) : this.#useEither(call, operation, work)
  }

  async #useEither<T>(
    call: Call,
    operation: 'read' | 'wrap' | 'unwrap',
    work: (place: KeyPlace) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(this.#primary)
    } catch (error) {
      const standby = this.#standbyFor(operation)
      if (standby === undefined || !(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE') throw error
      call.standby = true
      return work(standby)
    }
  }

  /**
   * Asks both places whether their keys are the same: RSA keys by their public half, AES keys by what they make of one
   * random value (RFC 3394 and RFC 5649 are deterministic). Rejects with the AdapterError of the place that could not answer.
   */
  async prove(call: Call): Promise<Likeness> {
    const [primary, standby] = [this.#primary, this.#standby]
    if (standby === undefined) throw new Error('there is no standby to prove')
    const [one, other] = [await primary.describe(call), await standby.describe(call)]
    const same =
      one.kty === 'RSA'
        ? other.kty === 'RSA' && isEqual(one.n, other.n) && isEqual(one.e, other.e)
        : other.kty === 'oct' && (await wrapsAlike(primary, standby, call))
    this.#likeness = same ? 'same' : 'different'
    return this.#likeness
  }

  /** Takes over that `before`, the same key ahead of a reload, was proven to be the same in the same two places. */
  inherit(before: PooledKey): void {
    if (before.#likeness !== 'same' || !before.#primary.isSame(this.#primary)) return
    if (this.#standby !== undefined && before.#standby?.isSame(this.#standby)) this.#likeness = 'same'
  }

  /** What was wrapped under another key does not unwrap, so that an unproven standby may try. */
  #standbyFor(operation: 'read' | 'wrap' | 'unwrap'): KeyPlace | undefined {
    if (this.#likeness === 'same') return this.#standby
    return operation === 'unwrap' && this.#likeness === 'unproven' ? this.#standby : undefined
  }
}

/** Asks for the same bytes twice. */
async function wrapsAlike(primary: KeyPlace, standby: KeyPlace, call: Call): Promise<boolean> {
  const value = randomBytes(16)
  for (const algorithm of ['A256KW', 'A256KWP'] as const) {
    try {
      return isEqual(await primary.wrap(algorithm, value, call), await standby.wrap(algorithm, value, call))
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'ALGORITHM_UNSUPPORTED') throw error
    }
  }
  throw new AdapterError('ALGORITHM_UNSUPPORTED', 'there is no algorithm that both backends can do with this key')
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)
