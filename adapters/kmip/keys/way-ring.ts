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
import type { KmipCluster } from '../transport/cluster.ts'
import type { KeyRing } from './key-ring.ts'
import type { KmipKey } from './kmip-key.ts'
import type { ServerBlockCipher } from './block-cipher.ts'
import { Patience } from './patience.ts'
import { findBlockCipher, qualify, wayName, type Found } from './qualification.ts'
import type { Way } from './way.ts'

/** A server that has not answered by then does not: no call waits so long. */
const TRIP_MS = 2000
/** The checks of a key take some sixty round trips one after another. On a server 300 ms away that is 20 s. */
const QUALIFICATION_MS = 30_000
/** How long it is believed that a key has no way: an operator may be repairing it. */
const NO_WAY_MS = 10_000

/** The qualified way of each key and algorithm. */
export class WayRing {
  readonly #cluster: KmipCluster
  readonly #keys: KeyRing
  readonly #exportAllowed: boolean
  readonly #report: Report
  readonly #ways = new Map<string, Promise<Way>>()
  readonly #ciphers = new Map<string, Promise<Found<ServerBlockCipher>>>()
  readonly #rejected = new Map<string, readonly RejectedWay[]>()

  constructor(cluster: KmipCluster, keys: KeyRing, exportAllowed: boolean, report: Report) {
    this.#cluster = cluster
    this.#keys = keys
    this.#exportAllowed = exportAllowed
    this.#report = report
  }

  /** Qualification goes on when the caller who caused it cannot wait: the next one finds it done. */
  find(key: KmipKey, algorithm: WrapAlgorithm, signal: CallSignal): Promise<Way> {
    return abortable(this.prepare(key, algorithm), signal)
  }

  /** Begins to qualify, if nobody has. */
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

  /** The way and what was tried before it. Rejects as {@link find} does, but not for want of a way. */
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

  /** The server did not do what it did before. */
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
      if (signal.aborted) throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager is too slow to be checked')
      if (isUnsupported(error)) {
        this.#report('warn', 'kmip_way', { key: key.id, algorithm, way: 'none' })
      }
      if (error instanceof KmipRefusal || error instanceof AdapterError) throw error
      throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager could not be checked')
    } finally {
      signal.end()
    }
  }
}

const unsupported = (algorithm: WrapAlgorithm) =>
  new AdapterError('ALGORITHM_UNSUPPORTED', `the key manager has no way to do ${algorithm} that gives the right result`)

const isUnsupported = (error: unknown): boolean =>
  error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED'

/** What a key may still do decides which way there is. */
const nameOf = ({ id, attributes }: KmipKey, algorithm?: WrapAlgorithm) =>
  [algorithm, attributes.state, attributes.usageMask, id].join(' ')
