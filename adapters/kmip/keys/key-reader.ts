import { AdapterError, rsaSizes, type CallSignal, type KeyDescription } from '../../contract/index.ts'
import { meaningOf } from '../errors.ts'
import { parseKeyRef, type KeySelector, type ObjectSelector } from '../key-ref.ts'
import type { AttributeName, ObjectAttributes } from '../protocol/attributes.ts'
import { algorithm, objectType } from '../protocol/numbers.ts'
import { getAttributes } from '../protocol/objects.ts'
import type { Requests } from '../transport/requests.ts'
import { valueOf } from '../protocol/operation.ts'
import { isDestroyed } from './key-state.ts'
import type { KmipKey } from './kmip-key.ts'
import { locateKey, locatePublicKey } from './locate-key.ts'
import { fetchPublicKey, type RsaPublicKey } from './public-key.ts'
import { Remembered } from './remembered.ts'

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

interface Located {
  readonly id: string
  readonly attributes: ObjectAttributes
}

/**
 * Reads a key's description from the server. It uses attributes and public keys only and never fetches a secret or
 * private key. A key that was read before takes one round trip, even if its Name is located again.
 */
export class KeyReader {
  readonly #cluster: Requests
  readonly #nameMs: number
  readonly #ids = new Remembered<string>()
  readonly #publicIds = new Remembered<string>()
  /** By the public object's identifier. The numbers of a key pair never change. */
  readonly #publicKeys = new Remembered<RsaPublicKey>()

  /** @param nameMs how many milliseconds a Name is assumed to mean the same object, unless that object is gone */
  constructor(cluster: Requests, nameMs: number) {
    this.#cluster = cluster
    this.#nameMs = nameMs
  }

  /**
   * @param anew locates the Name again
   * @throws KmipRefusal, the signal's reason or an AdapterError
   */
  async read(ref: string, anew: boolean, signal: CallSignal): Promise<KmipKey> {
    const selector = parseKeyRef(ref)
    const { id, attributes } = await this.#resolve(ref, selector, anew, signal)
    return { id, attributes, description: await this.#describe(ref, attributes, selector, signal) }
  }

  /** Forgets which object the reference meant. */
  forget(ref: string): void {
    this.#ids.delete(ref)
    this.#publicIds.delete(ref)
  }

  async #resolve(ref: string, { key }: KeySelector, anew: boolean, signal: CallSignal): Promise<Located> {
    if ('id' in key) return { id: key.id, attributes: await this.#attributes(key.id, signal) }
    const known = this.#ids.get(ref)
    if (known !== undefined && !anew && known.ageMs < this.#nameMs) {
      const attributes = await this.#livingAttributes(known.value, key.name, signal)
      if (attributes !== undefined) return { id: known.value, attributes }
    }
    const located = await this.#locate(key.name, known?.value, signal)
    this.#ids.set(ref, located.id)
    return located
  }

  /** Undefined if the object no longer exists or has another name. Another object may then have its name. */
  async #livingAttributes(id: string, name: string, signal: CallSignal): Promise<ObjectAttributes | undefined> {
    const [said] = await this.#cluster.batch([getAttributes(id, asked)], signal)
    if (!said.ok && meaningOf(said.refusal, 'describe') === 'KEY_NOT_FOUND') return undefined
    const attributes = valueOf(said)
    return isDestroyed(attributes) || !isNamed(attributes, name) ? undefined : attributes
  }

  async #locate(name: string, guess: string | undefined, signal: CallSignal): Promise<Located> {
    const beside = guess === undefined ? undefined : getAttributes(guess, asked)
    const { id, answer } = await locateKey(this.#cluster, name, beside, signal)
    const attributes = id === guess && answer?.ok ? answer.value : await this.#attributes(id, signal)
    // A server that does not know a filter of Locate may ignore it. Another key must not be used silently.
    if (isNamed(attributes, name)) return { id, attributes }
    throw new AdapterError('KEY_NOT_FOUND', `the server has no key named ${name}`)
  }

  #attributes(id: string, signal: CallSignal): Promise<ObjectAttributes> {
    return this.#cluster.call(getAttributes(id, asked), signal)
  }

  async #describe(
    ref: string,
    attributes: ObjectAttributes,
    selector: KeySelector,
    signal: CallSignal,
  ): Promise<KeyDescription> {
    const { objectType: type, algorithm: kind, bits } = attributes
    if (type === objectType.SymmetricKey && kind === algorithm.AES && bits === 256) return { kty: 'oct', bits: 256 }
    const size = rsaSizes.find((candidate) => candidate === bits)
    if (type !== objectType.PrivateKey || kind !== algorithm.RSA || size === undefined) {
      throw new AdapterError('KEY_UNSUPPORTED', 'the key is neither AES of 256 bits nor RSA of 2048, 3072 or 4096 bits')
    }
    const { n, e } = await this.#publicKey(await this.#publicId(ref, attributes, selector, signal), signal)
    if (n.length !== size / 8)
      throw new AdapterError('KEY_UNSUPPORTED', 'the public key does not belong to the private key')
    return { kty: 'RSA', bits: size, n, e }
  }

  /** The configured public key, otherwise the linked one, otherwise the one with the private key's name. */
  async #publicId(
    ref: string,
    attributes: ObjectAttributes,
    selector: KeySelector,
    signal: CallSignal,
  ): Promise<string> {
    if (selector.publicKey === undefined && attributes.publicKeyId !== undefined) return attributes.publicKeyId
    const [name] = 'name' in selector.key ? [selector.key.name] : attributes.names
    const guess = selector.publicKey ?? (name === undefined ? undefined : { name })
    if (guess === undefined) throw noPublicKey()
    if ('id' in guess) return guess.id
    const known = this.#publicIds.get(ref)
    if (known === undefined) return this.#locatePublic(ref, guess, signal)
    // No caller waits for this. A second round trip would make a call too late on a server that is far away.
    if (known.ageMs >= this.#nameMs) this.#locatePublic(ref, guess, signal).catch(() => undefined)
    return known.value
  }

  async #locatePublic(ref: string, guess: ObjectSelector, signal: CallSignal): Promise<string> {
    try {
      const id = await locatePublicKey(this.#cluster, guess, signal)
      this.#publicIds.set(ref, id)
      return id
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code === 'BACKEND_UNAVAILABLE') throw error
      this.#publicIds.delete(ref)
      throw error.code === 'KEY_NOT_FOUND' ? noPublicKey() : error
    }
  }

  async #publicKey(id: string, signal: CallSignal): Promise<RsaPublicKey> {
    const known = this.#publicKeys.get(id)
    if (known !== undefined) return known.value
    const key = await fetchPublicKey(this.#cluster, id, signal)
    this.#publicKeys.set(id, key)
    return key
  }
}

const isNamed = ({ names }: ObjectAttributes, name: string): boolean => names.length === 0 || names.includes(name)

const noPublicKey = () =>
  new AdapterError(
    'KEY_UNSUPPORTED',
    'the private key has no public key: the server links none, and no public key has its name; ' +
      'name it with public-id= or public-name=',
  )
