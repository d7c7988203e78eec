import { abortable, AdapterError, type Report, type WrapAlgorithm } from '../../contract/index.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import type { KmipKey } from './kmip-key.ts'
import type { ServerBlockCipher } from './block-cipher.ts'
import { findBlockCipher, qualify } from './qualification.ts'
import type { Way } from './way.ts'

const QUALIFICATION_TIMEOUT_MS = 5000
/** How long it is believed that a key has no way: an operator may be repairing it. */
const NO_WAY_MS = 10_000

/** The qualified way of each key and algorithm. */
export class WayRing {
  readonly #cluster: KmipCluster
  readonly #exportAllowed: boolean
  readonly #report: Report
  readonly #ways = new Map<string, Promise<Way>>()
  readonly #ciphers = new Map<string, Promise<ServerBlockCipher | undefined>>()

  constructor(cluster: KmipCluster, exportAllowed: boolean, report: Report) {
    this.#cluster = cluster
    this.#exportAllowed = exportAllowed
    this.#report = report
  }

  /** Qualification goes on when the caller who caused it cannot wait: the next one finds it done. */
  find(key: KmipKey, algorithm: WrapAlgorithm, signal: AbortSignal): Promise<Way> {
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
      const believed = error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED'
      setTimeout(() => this.#ways.delete(name), believed ? NO_WAY_MS : 0).unref()
    })
    return way
  }

  /** The server did not do what it did before. */
  forget(key: KmipKey, algorithm: WrapAlgorithm): void {
    this.#ways.delete(nameOf(key, algorithm))
    this.#ciphers.delete(nameOf(key))
  }

  #blockCipher(key: KmipKey, signal: AbortSignal): Promise<ServerBlockCipher | undefined> {
    const known = this.#ciphers.get(nameOf(key))
    if (known !== undefined) return known
    const cipher = findBlockCipher(this.#cluster, key, signal)
    this.#ciphers.set(nameOf(key), cipher)
    const forget = () => this.#ciphers.delete(nameOf(key))
    cipher.then((found) => found ?? forget(), forget)
    return cipher
  }

  async #qualify(key: KmipKey, algorithm: WrapAlgorithm): Promise<Way> {
    const signal = AbortSignal.timeout(QUALIFICATION_TIMEOUT_MS)
    const context = {
      cluster: this.#cluster,
      blockCipher: () => this.#blockCipher(key, signal),
      exportAllowed: this.#exportAllowed,
      report: this.#report,
      signal,
    }
    try {
      const way = await qualify(key, algorithm, context)
      this.#report(way.kind === 'exported' ? 'warn' : 'info', 'kmip_way', { key: key.id, algorithm, way: way.kind })
      return way
    } catch (error) {
      if (signal.aborted) throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager is too slow to be checked')
      if (error instanceof AdapterError && error.code === 'ALGORITHM_UNSUPPORTED') {
        this.#report('warn', 'kmip_way', { key: key.id, algorithm, way: 'none' })
      }
      if (error instanceof KmipRefusal || error instanceof AdapterError) throw error
      throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager could not be checked')
    }
  }
}

/** What a key may still do decides which way there is. */
const nameOf = ({ id, attributes }: KmipKey, algorithm?: WrapAlgorithm) =>
  [algorithm, attributes.state, attributes.usageMask, id].join(' ')
