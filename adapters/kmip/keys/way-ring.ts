import {
  abortable,
  AdapterError,
  type CallSignal,
  type RejectedWay,
  type Report,
  type WayFound,
  type WrapAlgorithm,
} from '../../contract/index.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { Requests } from '../transport/requests.ts'
import type { KeyRing } from './key-ring.ts'
import type { KmipKey } from './kmip-key.ts'
import type { ServerBlockCipher } from './block-cipher.ts'
import { Patience } from './patience.ts'
import { findBlockCipher, qualify, wayName, type Found } from './qualification.ts'
import type { Way } from './way.ts'

/** Milliseconds after which a server does not answer any more: no call waits that long. */
const TRIP_MS = 2000
/** Milliseconds for qualifying a key, which takes about sixty sequential round trips. With 300 ms each that is 20 s. */
const QUALIFICATION_MS = 30_000
/** Milliseconds for which the absence of a way counts. It is short because an operator may be repairing it. */
const NO_WAY_MS = 10_000

/** The qualified way of each key and algorithm. */
export class WayRing {
  readonly #cluster: Requests
  readonly #keys: KeyRing
  readonly #exportAllowed: boolean
  readonly #report: Report
  readonly #ways = new Map<string, Promise<Way>>()
  readonly #ciphers = new Map<string, Promise<Found<ServerBlockCipher>>>()
  readonly #rejected = new Map<string, readonly RejectedWay[]>()

  constructor(cluster: Requests, keys: KeyRing, exportAllowed: boolean, report: Report) {
    this.#cluster = cluster
    this.#keys = keys
    this.#exportAllowed = exportAllowed
    this.#report = report
  }

  /**
   * Finds the way. Qualification goes on when the caller who started it cannot wait, so the next caller finds it done.
   */
  find(key: KmipKey, algorithm: WrapAlgorithm, signal: CallSignal): Promise<Way> {
    return abortable(this.prepare(key, algorithm), signal)
  }

  /** Starts to qualify, unless that is under way already. */
  prepare(key: KmipKey, algorithm: WrapAlgorithm): Promise<Way> {
    const name = nameOf(key, algorithm)
    const known = this.#ways.get(name)
    if (known !== undefined) return known
    const way = this.#qualify(key, algorithm)
    this.#ways.set(name, way)
    way.catch((error: unknown) => {
      setTimeout(() => this.#ways.delete(name), isUnsupported(error) ? NO_WAY_MS : 0).unref()
    })
    return way
  }

  /** The way and the rejected ways. Rejects as {@link find} does, except for the absence of a way. */
  async explain(key: KmipKey, algorithm: WrapAlgorithm, signal: CallSignal): Promise<WayFound> {
    const way = await this.find(key, algorithm, signal).catch((error: unknown) => {
      if (isUnsupported(error)) return undefined
      throw error
    })
    return {
      algorithm,
      ...(way && { way: wayName(way.kind, algorithm) }),
      ...(way?.kind === 'exported' && { exported: true }),
      rejected: this.#rejected.get(nameOf(key, algorithm)) ?? [],
    }
  }

  /** Forgets the way, because the server no longer behaves as it did. */
  forget(key: KmipKey, algorithm: WrapAlgorithm): void {
    this.#ways.delete(nameOf(key, algorithm))
    this.#ciphers.delete(nameOf(key))
  }

  #blockCipher(key: KmipKey, signal: CallSignal): Promise<Found<ServerBlockCipher>> {
    const known = this.#ciphers.get(nameOf(key))
    if (known !== undefined) return known
    const cipher = findBlockCipher(this.#cluster, key, signal)
    this.#ciphers.set(nameOf(key), cipher)
    const forget = () => this.#ciphers.delete(nameOf(key))
    cipher.then(({ found }) => found ?? forget(), forget)
    return cipher
  }

  async #qualify(key: KmipKey, algorithm: WrapAlgorithm): Promise<Way> {
    const signal = new Patience(TRIP_MS, QUALIFICATION_MS)
    const context = {
      cluster: this.#cluster,
      blockCipher: () => this.#blockCipher(key, signal),
      sibling: () => this.#keys.otherAesKey(key.id)?.id,
      exportAllowed: this.#exportAllowed,
      report: this.#report,
      signal,
    }
    try {
      const { found: way, rejected } = await qualify(key, algorithm, context)
      this.#rejected.set(nameOf(key, algorithm), rejected)
      if (way === undefined) throw unsupported(algorithm)
      this.#report(way.kind === 'exported' ? 'warn' : 'info', 'kmip_way', { key: key.id, algorithm, way: way.kind })
      return way
    } catch (error) {
      if (signal.aborted) throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager is too slow to be qualified')
      if (isUnsupported(error)) {
        this.#report('warn', 'kmip_way', { key: key.id, algorithm, way: 'none' })
      }
      if (error instanceof KmipRefusal || error instanceof AdapterError) throw error
      throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager could not be qualified')
    } finally {
      signal.end()
    }
  }
}

const unsupported = (algorithm: WrapAlgorithm) =>
  new AdapterError('ALGORITHM_UNSUPPORTED', `no way of the key manager to do ${algorithm} gives the right result`)

const isUnsupported = (error: unknown): boolean =>
  error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED'

/** The way depends on what the key may still do. */
const nameOf = ({ id, attributes }: KmipKey, algorithm?: WrapAlgorithm) =>
  [algorithm, attributes.state, attributes.usageMask, id].join(' ')
