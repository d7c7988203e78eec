import * as v from 'valibot'
import {
  AdapterError,
  algorithmRow,
  asBuffer,
  lengthFits,
  wipeableCopy,
  wrapAlgorithms,
  type CallContext,
  type KeyAdapter,
  type KeyDescription,
  type KeyInspection,
  type KeyRef,
  type Report,
  type WayFound,
  type WrapAlgorithm,
} from '../../../adapters/contract/index.ts'
import { operatorError, TransitClient } from './client.ts'
import type { TransitOptions } from './options.ts'
import { expected, keyPath, readKey } from './transit-key.ts'

const OPEN_MS = 10_000
/** The prefix of a value that the key's first and only version made. */
const PREFIX = 'vault:v1:'

/**
 * Serves the RSA keys of a Transit engine, which supports OAEP with SHA-256 only. It is an example: data keys pass
 * through strings, which cannot be zeroed.
 */
export class TransitAdapter implements KeyAdapter {
  readonly product = { vendor: 'Transit', name: 'Transit key service' }
  readonly inspection: KeyInspection = {
    facts: async ({ signal }) => {
      await this.probe({ signal })
      return { fields: { connections: this.#client.connections } }
    },
    ways: async (ref, context) => {
      const { kty } = await this.describe(ref, context)
      return wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === kty).map(wayOf)
    },
  }
  readonly #client: TransitClient
  readonly #report: Report
  #isRefused = false

  private constructor(client: TransitClient, report: Report) {
    this.#client = client
    this.#report = report
  }

  /**
   * Rejects with an OperatorError unless the service accepts the token. The error is transient if the service is away.
   */
  static async open(options: TransitOptions, report: Report): Promise<TransitAdapter> {
    const adapter = new TransitAdapter(new TransitClient(options), report)
    try {
      await adapter.probe({ signal: AbortSignal.timeout(OPEN_MS) })
      return adapter
    } catch (error) {
      await adapter.close()
      throw operatorError(error)
    }
  }

  get connections(): number {
    return this.#client.connections
  }

  async describe(ref: KeyRef, { signal }: CallContext): Promise<KeyDescription> {
    const { description } = await readKey(this.#client, ref, signal)
    if (description !== undefined) return description
    throw new AdapterError('KEY_UNSUPPORTED', `${ref} is neither an RSA key of a size that is known nor an AES key`)
  }

  async wrap(ref: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { bits } = await this.#suited(ref, algorithm, context)
    if (!lengthFits(algorithmRow(algorithm).plaintext(bits), plaintext.length)) {
      throw new AdapterError('INPUT_INVALID', `${algorithm} cannot wrap ${plaintext.length} bytes under ${bits} bits`)
    }
    const body = { plaintext: asBuffer(plaintext).toString('base64') }
    const { data } = await this.#client.ask({ method: 'POST', path: keyPath('encrypt', ref), body }, context.signal)
    const { ciphertext } = expected(sealed, data)
    return Buffer.from(ciphertext.slice(PREFIX.length), 'base64')
  }

  async unwrap(
    ref: KeyRef,
    algorithm: WrapAlgorithm,
    ciphertext: Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array> {
    const { bits } = await this.#suited(ref, algorithm, context)
    if (ciphertext.length !== bits / 8) throw invalidCiphertext()
    const body = { ciphertext: PREFIX + asBuffer(ciphertext).toString('base64') }
    const question = { method: 'POST', path: keyPath('decrypt', ref), body } as const
    const { status, data } = await this.#client.ask(question, context.signal)
    // The key existed a moment ago and the request has the right form, so that the value is invalid.
    if (status === 400) throw invalidCiphertext()
    const text = Buffer.from(expected(opened, data).plaintext, 'base64')
    const plaintext = wipeableCopy(text)
    text.fill(0)
    // The service accepts a value without data as valid.
    if (!lengthFits(algorithmRow(algorithm).unwrapped(ciphertext.length, bits), plaintext.length)) {
      throw invalidCiphertext()
    }
    return plaintext
  }

  /** Reports a refused token once until the service accepts it again. */
  async probe({ signal }: Pick<CallContext, 'signal'>): Promise<void> {
    try {
      await this.#client.probe(signal)
      this.#isRefused = false
    } catch (error) {
      const isRefused = error instanceof AdapterError && error.code === 'OPERATION_FORBIDDEN'
      if (isRefused && !this.#isRefused) this.#report('error', 'transit_token_refused', {})
      this.#isRefused ||= isRefused
      throw error
    }
  }

  async close(): Promise<void> {
    this.#client.close()
  }

  /** The key, if it supports `algorithm`. */
  async #suited(ref: KeyRef, algorithm: WrapAlgorithm, context: CallContext): Promise<KeyDescription> {
    const description = await this.describe(ref, context)
    if (description.kty === 'RSA' && algorithm === 'RSA-OAEP-256') return description
    throw new AdapterError('ALGORITHM_UNSUPPORTED', `the key service does not do ${algorithm} with ${ref}`)
  }
}

const sealed = v.object({ ciphertext: v.pipe(v.string(), v.startsWith(PREFIX)) })
const opened = v.object({ plaintext: v.string() })

const invalidCiphertext = () => new AdapterError('CIPHERTEXT_INVALID', 'the value cannot be unwrapped')

/** How a key of the algorithm's type does it. */
function wayOf(algorithm: WrapAlgorithm): WayFound {
  if (algorithm === 'RSA-OAEP-256') return { algorithm, way: "the key service's own RSA-OAEP", rejected: [] }
  const other =
    algorithmRow(algorithm).kty === 'RSA'
      ? { way: "the key service's own RSA-OAEP", reason: 'it hashes with SHA-256 only' }
      : { way: "the key service's own AES-GCM", reason: 'it is no key wrap' }
  return { algorithm, rejected: [other] }
}
