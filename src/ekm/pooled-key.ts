import { randomBytes, timingSafeEqual } from 'node:crypto'
import {
  AdapterError,
  type KeyDescription,
  type KeyRef,
  type WayFound,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import type { Backend, Described } from './backend/backend.ts'
import type { Call } from './backend/call.ts'
import { renewWays, type KnownWay } from './key-standing.ts'
import { Flow, type PoolFlows } from './backend/flow.ts'

/** A key at one backend, for one pool. */
export class BackendKey {
  readonly #backend: Backend
  readonly #ref: KeyRef
  readonly #describes: Flow
  readonly #wraps: Flow
  readonly #unwraps: Flow

  constructor(backend: Backend, ref: KeyRef, pool: PoolFlows) {
    this.#backend = backend
    this.#ref = ref
    this.#describes = new Flow(pool, 'describe', ref)
    this.#wraps = new Flow(pool, 'wrap', ref)
    this.#unwraps = new Flow(pool, 'unwrap', ref)
  }

  /** Whether its backend is still to be opened. */
  get isAway(): boolean {
    return this.#backend.status.away
  }

  /** Like {@link Backend.prepare}. */
  prepare(call: Call): Promise<readonly WayFound[]> {
    return this.#backend.prepare(this.#ref, call)
  }

  /** Whether its backend is ready. */
  get isReady(): boolean {
    return this.#backend.status.ready
  }

  describe(call: Call): Promise<KeyDescription> {
    return this.#backend.describe(this.#describes, call)
  }

  /** The last fetched description of the key. Undefined if there is none. */
  recall(): Described | undefined {
    return this.#backend.recall(this.#ref)
  }

  wrap(algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#backend.wrap(this.#wraps, algorithm, plaintext, call)
  }

  unwrap(algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return this.#backend.unwrap(this.#unwraps, algorithm, ciphertext, call)
  }

  /** Whether both are the same key of the same adapter, regardless of limits. */
  isSame(other: BackendKey): boolean {
    return this.#ref === other.#ref && this.#backend.sharesAdapter(other.#backend)
  }
}

/** Whether two backends hold the same key. `unproven` until both have been asked. */
export type Likeness = 'unproven' | 'same' | 'different'

/**
 * A key of a pool, perhaps with a second backend that holds the same key and serves while the first is down. A data key
 * wrapped under another key would be lost. So the standby wraps only after both backends have proved that their keys
 * are the same.
 */
export class PooledKey {
  readonly #primary: BackendKey
  readonly #standby: BackendKey | undefined
  #likeness: Likeness = 'unproven'
  /** Whether it could be used at the last examination. Undefined before the first. */
  isUsable: boolean | undefined
  /** Why it could not, by the error's code. */
  problem: string | undefined
  #ways: readonly KnownWay[] = []

  constructor(primary: BackendKey, standby?: BackendKey) {
    this.#primary = primary
    this.#standby = standby
  }

  /** Whether its backend is still to be opened. */
  get isAway(): boolean {
    return this.#primary.isAway
  }

  /** Waits until its backend can use it without delay. */
  async prepare(call: Call): Promise<void> {
    this.#ways = renewWays(this.#ways, await this.#primary.prepare(call))
  }

  /** How its algorithms are done at its backend, as found out last; empty if that is not known. */
  get ways(): readonly KnownWay[] {
    return this.#ways
  }

  /** Its type and size as its backend said last. */
  get description(): KeyDescription | undefined {
    return this.#primary.recall()?.description
  }

  /** Whether it can wrap and unwrap: at its backend, or at a proven standby. */
  get isReady(): boolean {
    return this.#primary.isReady || (this.#likeness === 'same' && this.#standby?.isReady === true)
  }

  /** Undefined without a standby. */
  get likeness(): Likeness | undefined {
    return this.#standby && this.#likeness
  }

  /**
   * Calls `work` with the key at its backend, and again at its standby if the backend cannot be reached. Without a
   * standby, synchronous throws of `work` propagate synchronously.
   */
  use<T>(call: Call, operation: 'read' | 'wrap' | 'unwrap', work: (key: BackendKey) => Promise<T>): Promise<T> {
    return this.#standby === undefined ? work(this.#primary) : this.#useEither(call, operation, work)
  }

  async #useEither<T>(
    call: Call,
    operation: 'read' | 'wrap' | 'unwrap',
    work: (key: BackendKey) => Promise<T>,
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
   * Asks both backends whether their keys are the same. RSA keys are compared by their public halves, AES keys by
   * wrapping one random value (RFC 3394 and RFC 5649 are deterministic).
   * @throws AdapterError of the backend that could not answer
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

  /**
   * Takes over what was known of `before`, the same key before a reload: that it was usable, and that it was proven to
   * be the same at the same two backends.
   */
  inherit(before: PooledKey): void {
    if (!before.#primary.isSame(this.#primary)) return
    if (before.isUsable === true) this.isUsable = true
    this.#ways = before.#ways
    if (before.#likeness === 'same' && this.#standby !== undefined && before.#standby?.isSame(this.#standby))
      this.#likeness = 'same'
  }

  /** An unproven standby may try to unwrap: a value that was wrapped under another key does not unwrap. */
  #standbyFor(operation: 'read' | 'wrap' | 'unwrap'): BackendKey | undefined {
    if (this.#likeness === 'same') return this.#standby
    return operation === 'unwrap' && this.#likeness === 'unproven' ? this.#standby : undefined
  }
}

/** Wraps the same bytes at both. */
async function wrapsAlike(primary: BackendKey, standby: BackendKey, call: Call): Promise<boolean> {
  const value = randomBytes(16)
  for (const algorithm of ['A256KW', 'A256KWP'] as const) {
    try {
      return isEqual(await primary.wrap(algorithm, value, call), await standby.wrap(algorithm, value, call))
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'ALGORITHM_UNSUPPORTED') throw error
    }
  }
  throw new AdapterError('ALGORITHM_UNSUPPORTED', 'the two backends have no algorithm in common for this key')
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)
