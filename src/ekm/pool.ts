import {
  AdapterError,
  algorithmRow,
  lengthFits,
  type KeyDescription,
  type LengthRule,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import type { AllowList } from './allow-list.ts'
import type { Backend } from './backend/backend.ts'
import type { Call } from './backend/call.ts'
import type { BackendKey, PooledKey } from './pooled-key.ts'
import type { RateLimit } from './rate-limit.ts'
import { RequestInvalid } from './request-invalid.ts'

/** The answer of `/info` (EKM Proxy API, "Get Proxy Info"). */
export interface PoolInfo {
  readonly proxyVendor: string
  readonly proxyName: string
  readonly ekmVendor: string
  readonly ekmProduct: string
}

export interface PoolOptions {
  readonly name: string
  /** Without slashes at both ends. May be empty. */
  readonly pathPrefix: string
  readonly clients: AllowList
  readonly info: PoolInfo
  /** The backend of its keys; standbys are other backends. */
  readonly backend: Pick<Backend, 'name' | 'status'>
  /** The listed keys, by external key id. */
  readonly keys: ReadonlyMap<string, PooledKey>
  /** Finds a key that is not listed. Undefined if only listed keys may be used. */
  readonly find?: (keyName: string) => PooledKey
  readonly rateLimit?: RateLimit
}

/** Whether a pool can be served. */
export interface PoolStatus {
  readonly name: string
  readonly ready: boolean
  /** Why the pool is not ready, for people. */
  readonly reason?: string
}

/**
 * The keys that one Azure Managed HSM may use, and what it may do with them. The operations reject with {@link
 * RequestInvalid} or an {@link AdapterError}.
 */
export class Pool {
  readonly name: string
  readonly pathPrefix: string
  readonly clients: AllowList
  readonly info: PoolInfo
  /** By external key id. Empty if the pool has every key of its backend. */
  readonly keys: ReadonlyMap<string, PooledKey>
  readonly #backend: PoolOptions['backend']
  readonly #find: PoolOptions['find']
  readonly #rateLimit: RateLimit | undefined

  constructor({ name, pathPrefix, clients, info, backend, keys, find, rateLimit }: PoolOptions) {
    this.name = name
    this.pathPrefix = pathPrefix
    this.clients = clients
    this.info = info
    this.keys = keys
    this.#backend = backend
    this.#find = find
    this.#rateLimit = rateLimit
  }

  /** Of the backend that holds its keys; standbys may be elsewhere. */
  get backendName(): string {
    return this.#backend.name
  }

  /** The pool is ready if its backend is, or if each of its keys has a proven standby that is. */
  get status(): PoolStatus {
    const { name, keys } = this
    const { ready, name: backend } = this.#backend.status
    const missing = ready ? 0 : [...keys.values()].filter((key) => !key.isReady).length
    if (ready || (keys.size > 0 && missing === 0)) return { name, ready: true }
    const reason = `the backend ${backend} is not ready`
    if (missing === keys.size) return { name, ready: false, reason }
    return { name, ready: false, reason: `${reason}, and ${missing} of ${keys.size} keys have no standby` }
  }

  async describe(keyName: string, call: Call): Promise<KeyDescription> {
    return this.#resolve(keyName).use(call, 'read', (backendKey) => backendKey.describe(call))
  }

  /** The caller owns the result, and zeroes `plaintext`. */
  async wrap(keyName: string, algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    // Without `await`, this would take three turns of the microtask queue instead of one.
    return await this.#resolve(keyName).use(call, 'wrap', (backendKey) =>
      withDescription(backendKey, call, (description) => {
        const { bits } = suited(description, algorithm)
        const rule = algorithmRow(algorithm).plaintext(bits)
        if (!lengthFits(rule, plaintext.length)) {
          const message = `value has ${plaintext.length} bytes, but ${algorithm} under this key ${allowed(rule)}`
          throw new RequestInvalid(message)
        }
        return backendKey.wrap(algorithm, plaintext, call)
      }),
    )
  }

  /** The result is a data key, which the caller zeroes. */
  async unwrap(keyName: string, algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    return await this.#resolve(keyName).use(call, 'unwrap', (backendKey) =>
      withDescription(backendKey, call, (description) => {
        const { kty, bits } = suited(description, algorithm)
        // The only length that may be reported separately: it follows from the public modulus, not from the
        // ciphertext's contents.
        if (kty === 'RSA' && ciphertext.length !== bits / 8) {
          throw new RequestInvalid(
            `value has ${ciphertext.length} bytes, but a value wrapped under this key has exactly ${bits / 8} bytes`,
          )
        }
        return backendKey.unwrap(algorithm, ciphertext, call)
      }),
    )
  }

  #resolve(keyName: string): PooledKey {
    this.#rateLimit?.take()
    const key = this.keys.get(keyName) ?? this.#find?.(keyName)
    if (key === undefined) throw new AdapterError('KEY_NOT_FOUND', `the pool ${this.name} lists no key ${keyName}`)
    return key
  }
}

/**
 * Calls `work` at once if the key's description is known, which saves each request one async function. An old
 * description serves as well, because the backend itself checks whether the key may be used; asking first would take a
 * second round trip. The backend is asked again only before a request is refused because of the description.
 */
function withDescription<T>(
  backendKey: BackendKey,
  call: Call,
  work: (description: KeyDescription) => Promise<T>,
): Promise<T> {
  const known = backendKey.recall()
  if (known === undefined) return backendKey.describe(call).then(work)
  try {
    return work(known.description)
  } catch (error) {
    if (!(error instanceof RequestInvalid) || performance.now() < known.until) throw error
    return backendKey.describe(call).then(work)
  }
}

/**
 * The description.
 * @throws RequestInvalid if the algorithm needs another type of key
 */
function suited(description: KeyDescription, algorithm: WrapAlgorithm): KeyDescription {
  const { kty } = algorithmRow(algorithm)
  if (kty === description.kty) return description
  throw new RequestInvalid(`alg ${algorithm} needs a key of type ${kty}, but this key is of type ${description.kty}`)
}

function allowed({ min, max, multipleOf }: LengthRule): string {
  const range = max === Infinity ? `takes at least ${min} bytes` : `takes ${min} to ${max} bytes`
  return multipleOf === 1 ? range : `${range}, in multiples of ${multipleOf}`
}
