import {
  AdapterError,
  algorithmRow,
  lengthFits,
  type KeyDescription,
  type KeyRef,
  type LengthRule,
  type WrapAlgorithm,
} from '../../adapters/contract/index.ts'
import type { AllowList } from './allow-list.ts'
import type { Backend } from './backend.ts'
import type { Call } from './call.ts'
import { RequestInvalid } from './request-invalid.ts'

/** What `/info` answers (EKM Proxy API, "Get Proxy Info"). */
export interface PoolInfo {
  readonly proxyVendor: string
  readonly proxyName: string
  readonly ekmVendor: string
  readonly ekmProduct: string
}

export interface PoolOptions {
  readonly name: string
  /** Without slashes around it; may be empty. */
  readonly pathPrefix: string
  readonly clients: AllowList
  readonly info: PoolInfo
  readonly backend: Backend
  /** External key id to its place in the backend, or every key of the backend. */
  readonly keys: ReadonlyMap<string, KeyRef> | 'all'
}

const zero = (late: Uint8Array) => late.fill(0)

/**
 * The keys that one Azure Managed HSM may use, and what it may do with them. The operations reject with
 * {@link RequestInvalid} or an {@link AdapterError}.
 */
export class Pool {
  readonly name: string
  readonly pathPrefix: string
  readonly clients: AllowList
  readonly info: PoolInfo
  readonly #backend: Backend
  readonly #keys: ReadonlyMap<string, KeyRef> | 'all'

  constructor({ name, pathPrefix, clients, info, backend, keys }: PoolOptions) {
    this.name = name
    this.pathPrefix = pathPrefix
    this.clients = clients
    this.info = info
    this.#backend = backend
    this.#keys = keys
  }

  /** The external key ids that the operator listed; none where the pool has every key of its backend. */
  get keyNames(): readonly string[] {
    return this.#keys === 'all' ? [] : [...this.#keys.keys()]
  }

  async describe(keyName: string, call: Call): Promise<KeyDescription> {
    return this.#backend.describe(this.#resolve(keyName), call)
  }

  /** The result is the caller's; `plaintext` stays the caller's to zero. */
  async wrap(keyName: string, algorithm: WrapAlgorithm, plaintext: Uint8Array, call: Call): Promise<Uint8Array> {
    const key = this.#resolve(keyName)
    const { bits } = await this.#keyFor(key, algorithm, call)
    const rule = algorithmRow(algorithm).plaintext(bits)
    if (!lengthFits(rule, plaintext.length)) {
      throw new RequestInvalid(`value has ${plaintext.length} bytes, but ${algorithm} under this key ${allowed(rule)}`)
    }
    return call.askBackend(() => this.#backend.adapter.wrap(key, algorithm, plaintext, call), zero)
  }

  /** The result is a data key and the caller's to zero. */
  async unwrap(keyName: string, algorithm: WrapAlgorithm, ciphertext: Uint8Array, call: Call): Promise<Uint8Array> {
    const key = this.#resolve(keyName)
    const { kty, bits } = await this.#keyFor(key, algorithm, call)
    // The one length that may be told apart: it follows from the public modulus, and not from the ciphertext's inside.
    if (kty === 'RSA' && ciphertext.length !== bits / 8) {
      throw new RequestInvalid(
        `value has ${ciphertext.length} bytes, but a value wrapped under this key has exactly ${bits / 8} bytes`,
      )
    }
    return call.askBackend(() => this.#backend.adapter.unwrap(key, algorithm, ciphertext, call), zero)
  }

  #resolve(keyName: string): KeyRef {
    const key = this.#keys === 'all' ? (keyName as KeyRef) : this.#keys.get(keyName)
    if (key === undefined) throw new AdapterError('KEY_NOT_FOUND', `the pool ${this.name} lists no key ${keyName}`)
    return key
  }

  async #keyFor(key: KeyRef, algorithm: WrapAlgorithm, call: Call): Promise<KeyDescription> {
    const description = await this.#backend.recall(key, call)
    const { kty } = algorithmRow(algorithm)
    if (kty !== description.kty) {
      throw new RequestInvalid(
        `alg ${algorithm} needs a key of type ${kty}, but this key is of type ${description.kty}`,
      )
    }
    return description
  }
}

function allowed({ min, max, multipleOf }: LengthRule): string {
  const range = max === Infinity ? `takes at least ${min} bytes` : `takes ${min} to ${max} bytes`
  return multipleOf === 1 ? range : `${range}, in multiples of ${multipleOf}`
}
