import { abortable, AdapterError, rsaSizes, type CallSignal, type KeyDescription } from '../../contract/index.ts'
import { meaningOf, refusalError } from '../errors.ts'
import { parseKeyRef, type KeySelector } from '../key-ref.ts'
import type { AttributeName, ObjectAttributes } from '../protocol/attributes.ts'
import { algorithm, objectType } from '../protocol/numbers.ts'
import { getAttributes } from '../protocol/objects.ts'
import { KmipRefusal } from '../protocol/operation.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import type { KmipKey } from './kmip-key.ts'
import { locateKey, locatePublicKey } from './locate-key.ts'
import { fetchPublicKey, type RsaPublicKey } from './public-key.ts'

/** How long attributes are believed. A key that was disabled stops within it, and at once where the server is asked. */
const FRESH_MS = 2000
/** How long a Name is taken to mean the same object. */
const NAME_MS = 60_000
const LOAD_TIMEOUT_MS = 2000
/** Names that callers invent must not fill the memory. */
const MAX_REMEMBERED = 10_000

const asked: readonly AttributeName[] = [
  'ObjectType',
  'CryptographicAlgorithm',
  'CryptographicLength',
  'CryptographicUsageMask',
  'State',
  'ActivationDate',
  'ProcessStartDate',
  'ProtectStopDate',
  'DeactivationDate',
  'Name',
  'Link',
]

interface Timed<T> {
  readonly value: T
  readonly until: number
}

/** Finds keys and says what they are, from attributes and public keys alone: no secret or private key is ever fetched. */
export class KeyRing {
  readonly #cluster: KmipCluster
  readonly #ids = new Map<string, Timed<string>>()
  readonly #keys = new Map<string, Timed<KmipKey>>()
  readonly #loading = new Map<string, Promise<KmipKey>>()
  /** By identifier of the public object: a key pair's numbers never change. */
  readonly #publicKeys = new Map<string, RsaPublicKey>()

  constructor(cluster: KmipCluster) {
    this.#cluster = cluster
  }

  /** The key as it was at most {@link FRESH_MS} ago. Callers who want the same at the same time cause one trip. */
  async find(ref: string, signal: CallSignal): Promise<KmipKey> {
    const known = this.#keys.get(ref)
    if (known !== undefined && performance.now() < known.until) return known.value
    const loading = this.#loading.get(ref) ?? this.#load(ref)
    return abortable(loading, signal)
  }

  /** The key as it is now, for when the server's answer did not fit to what was believed. */
  async refresh(ref: string, signal: CallSignal): Promise<KmipKey> {
    this.#keys.delete(ref)
    return this.find(ref, signal)
  }

  #load(ref: string): Promise<KmipKey> {
    const signal = AbortSignal.timeout(LOAD_TIMEOUT_MS)
    const loading = this.#read(ref, signal)
      .then((value) => {
        if (this.#keys.size >= MAX_REMEMBERED) this.#keys.clear()
        this.#keys.set(ref, { value, until: performance.now() + FRESH_MS })
        return value
      })
      .catch((error: unknown) => {
        this.#keys.delete(ref)
        this.#ids.delete(ref)
        if (error instanceof KmipRefusal) throw translated(error)
        if (signal.aborted) throw new AdapterError('BACKEND_UNAVAILABLE', 'the key manager is too slow')
        throw error
      })
      .finally(() => this.#loading.delete(ref))
    this.#loading.set(ref, loading)
    return loading
  }

  async #read(ref: string, signal: CallSignal): Promise<KmipKey> {
    const selector = parseKeyRef(ref)
    const id = await this.#idOf(ref, selector, signal)
    const attributes = await this.#cluster.call(getAttributes(id, asked), signal)
    // A server that does not know a filter of Locate may pass over it: another key must not be used in silence.
    if ('name' in selector.key && attributes.names.length > 0 && !attributes.names.includes(selector.key.name)) {
      throw new AdapterError('KEY_NOT_FOUND', `the server has no key named ${selector.key.name}`)
    }
    return { id, attributes, description: await this.#describe(attributes, selector, signal) }
  }

  async #idOf(ref: string, { key }: KeySelector, signal: CallSignal): Promise<string> {
    if ('id' in key) return key.id
    const known = this.#ids.get(ref)
    if (known !== undefined && performance.now() < known.until) return known.value
    const value = await locateKey(this.#cluster, key.name, signal)
    if (this.#ids.size >= MAX_REMEMBERED) this.#ids.clear()
    this.#ids.set(ref, { value, until: performance.now() + NAME_MS })
    return value
  }

  async #describe(attributes: ObjectAttributes, selector: KeySelector, signal: CallSignal): Promise<KeyDescription> {
    const { objectType: type, algorithm: kind, bits } = attributes
    if (type === objectType.SymmetricKey && kind === algorithm.AES && bits === 256) return { kty: 'oct', bits: 256 }
    const size = rsaSizes.find((candidate) => candidate === bits)
    if (type !== objectType.PrivateKey || kind !== algorithm.RSA || size === undefined) {
      throw new AdapterError('KEY_UNSUPPORTED', 'neither an AES key of 256 bits nor an RSA key of 2048, 3072 or 4096')
    }
    const { n, e } = await this.#publicKey(attributes, selector, signal)
    if (n.length !== size / 8) throw new AdapterError('KEY_UNSUPPORTED', 'the public key does not fit the private key')
    return { kty: 'RSA', bits: size, n, e }
  }

  /** By link; else as configured; else under the name of the private key. */
  async #publicKey(attributes: ObjectAttributes, selector: KeySelector, signal: CallSignal): Promise<RsaPublicKey> {
    const [name] = 'name' in selector.key ? [selector.key.name] : attributes.names
    const guess = selector.publicKey ?? (name === undefined ? undefined : { name })
    if (attributes.publicKeyId === undefined && guess === undefined) throw noPublicKey()
    const id =
      selector.publicKey === undefined && attributes.publicKeyId !== undefined
        ? attributes.publicKeyId
        : await locatePublicKey(this.#cluster, guess ?? { name: '' }, signal).catch((error: unknown) => {
            if (error instanceof AdapterError && error.code === 'KEY_NOT_FOUND') throw noPublicKey()
            throw error
          })
    const known = this.#publicKeys.get(id)
    if (known !== undefined) return known
    const key = await fetchPublicKey(this.#cluster, id, signal)
    if (this.#publicKeys.size >= MAX_REMEMBERED) this.#publicKeys.clear()
    this.#publicKeys.set(id, key)
    return key
  }
}

const noPublicKey = () =>
  new AdapterError(
    'KEY_UNSUPPORTED',
    "the private key's public key is not found: the server does not link it, and no object of its name is a public key; " +
      'say where it is with public-id= or public-name=',
  )

function translated(refusal: KmipRefusal): AdapterError {
  const meaning = meaningOf(refusal, 'describe')
  return refusalError(refusal, meaning === 'UNCLEAR' ? 'BACKEND_UNAVAILABLE' : meaning)
}
