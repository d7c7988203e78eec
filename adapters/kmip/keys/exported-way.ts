import { createCipheriv, createDecipheriv, createPrivateKey, subtle } from 'node:crypto'
import {
  abortable,
  AdapterError,
  algorithmRow,
  asBuffer,
  type CallSignal,
  type KeyDescription,
  type WrapAlgorithm,
} from '../../contract/index.ts'
import { isRepresentative, oaepWrap, rsaPublicKey } from '../../key-wrap/index.ts'
import { invalidCiphertext, refusalError } from '../errors.ts'
import { keyFormat, objectType } from '../protocol/numbers.ts'
import { get } from '../protocol/objects.ts'
import type { Requests } from '../transport/requests.ts'
import { composedWay } from './composed-way.ts'
import { keyWrapMode } from './native-way.ts'
import type { Way } from './way.ts'

/** How long a fetched key is held, in milliseconds. */
const HELD_MS = 30_000
const FETCH_TIMEOUT_MS = 5000

type Key = Awaited<ReturnType<typeof subtle.importKey>>

/** A value that is fetched when it is needed, held for a bounded time, and then released. */
class Held<T> {
  readonly #fetch: (signal: CallSignal) => Promise<T>
  readonly #release: (value: T) => void
  #value: Promise<T> | undefined

  constructor(fetch: (signal: CallSignal) => Promise<T>, release: (value: T) => void) {
    this.#fetch = fetch
    this.#release = release
  }

  get(signal: CallSignal): Promise<T> {
    this.#value ??= this.#hold()
    return abortable(this.#value, signal)
  }

  #hold(): Promise<T> {
    const value = this.#fetch(AbortSignal.timeout(FETCH_TIMEOUT_MS))
    const forget = () => {
      if (this.#value === value) this.#value = undefined
    }
    value.then((held) => {
      setTimeout(() => {
        forget()
        this.#release(held)
      }, HELD_MS).unref()
    }, forget)
    return value
  }
}

/** AES under a key that is fetched. Used only if the operator configured `keyAccess: export`. */
export function exportedKeyWrap(cluster: Requests, id: string, algorithm: 'A256KW' | 'A256KWP'): Way {
  const held = new Held(
    (signal) => fetchAesKey(cluster, id, signal),
    (key) => key.fill(0),
  )
  return composedWay('exported', keyWrapMode[algorithm], {
    encrypt: (signal) => async (blocks) =>
      createCipheriv('aes-256-ecb', await held.get(signal), null)
        .setAutoPadding(false)
        .update(blocks),
    decrypt: (signal) => async (blocks) =>
      createDecipheriv('aes-256-ecb', await held.get(signal), null)
        .setAutoPadding(false)
        .update(blocks),
  })
}

async function fetchAesKey(cluster: Requests, id: string, signal: CallSignal): Promise<Uint8Array> {
  const { format, material } = await cluster.call(get(id, objectType.SymmetricKey), signal)
  if (format === keyFormat.Raw && material instanceof Uint8Array && material.length === 32) return material
  if (material instanceof Uint8Array) material.fill(0)
  throw new AdapterError('KEY_UNSUPPORTED', 'the exported key is not 32 bytes of raw AES key')
}

/**
 * RSA-OAEP under a private key that is fetched. The key is in a WebCrypto object, which is released but cannot be
 * zeroed.
 */
export function exportedOaep(
  cluster: Requests,
  id: string,
  algorithm: WrapAlgorithm,
  { n, e }: Extract<KeyDescription, { kty: 'RSA' }>,
): Way {
  const hash = algorithmRow(algorithm).hash ?? 'SHA-256'
  const publicKey = rsaPublicKey(n, e)
  const held = new Held(
    (signal) => fetchPrivateKey(cluster, id, hash, signal),
    () => undefined,
  )
  return {
    kind: 'exported',
    wrap: async (plaintext) => oaepWrap(publicKey, hash, plaintext),
    unwrap: async (ciphertext, signal) => {
      if (!isRepresentative(ciphertext, n)) throw invalidCiphertext()
      const key = await held.get(signal)
      const plaintext = await subtle.decrypt({ name: 'RSA-OAEP' }, key, ciphertext).catch((error: unknown) => {
        if (error instanceof DOMException && error.name === 'OperationError') throw invalidCiphertext()
        throw error
      })
      if (plaintext.byteLength === 0) throw invalidCiphertext()
      return new Uint8Array(plaintext)
    },
    unwrapAgain: async (_ciphertext, refusal) => {
      throw refusalError(refusal, 'BACKEND_UNAVAILABLE')
    },
  }
}

async function fetchPrivateKey(
  cluster: Requests,
  id: string,
  hash: 'SHA-1' | 'SHA-256',
  signal: CallSignal,
): Promise<Key> {
  const { format, material } = await cluster.call(get(id, objectType.PrivateKey), signal)
  const type = format === keyFormat.PKCS1 ? 'pkcs1' : format === keyFormat.PKCS8 ? 'pkcs8' : undefined
  if (type === undefined || !(material instanceof Uint8Array)) {
    throw new AdapterError('KEY_UNSUPPORTED', 'the exported private key is neither PKCS#1 nor PKCS#8')
  }
  const der = asBuffer(material)
  try {
    const pkcs8 = createPrivateKey({ key: der, format: 'der', type }).export({ format: 'der', type: 'pkcs8' })
    try {
      return await subtle.importKey('pkcs8', pkcs8, { name: 'RSA-OAEP', hash }, false, ['decrypt'])
    } finally {
      pkcs8.fill(0)
    }
  } catch {
    throw new AdapterError('KEY_UNSUPPORTED', 'the exported private key cannot be read')
  } finally {
    der.fill(0)
  }
}
