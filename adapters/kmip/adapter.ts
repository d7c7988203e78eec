import {
  abortable,
  AdapterError,
  algorithmRow,
  lengthFits,
  wrapAlgorithms,
  type CallContext,
  type CallSignal,
  type KeyAdapter,
  type KeyDescription,
  type KeyInspection,
  type KeyRef,
  type Report,
  type ServerFacts,
  type WayFound,
  type WrapAlgorithm,
} from '../contract/index.ts'
import { invalidCiphertext, meaningOf, refusalError, ResultWrong, type Meaning } from './errors.ts'
import { KeyRing, keyTimes, type KeyTimes } from './keys/key-ring.ts'
import { assertUsable } from './keys/key-state.ts'
import type { KmipKey } from './keys/kmip-key.ts'
import { useConfirmed, type Used } from './keys/use-confirmed.ts'
import { WayRing } from './keys/way-ring.ts'
import type { Way } from './keys/way.ts'
import { checkOptions, connectionsOf, type KmipOptions } from './options.ts'
import { usageMask } from './protocol/numbers.ts'
import { KmipRefusal } from './protocol/operation.ts'
import { KmipCluster } from './transport/cluster.ts'
import type { Negotiated } from './transport/negotiation.ts'
import { operatorError, ServerUnreachable } from './transport/unreachable.ts'

/** Serves keys that live in a KMIP key manager. */
export class KmipAdapter implements KeyAdapter {
  readonly product: { readonly vendor: string; readonly name: string }
  readonly inspection: KeyInspection = {
    facts: async (context) => {
      this.#assertOpen(context)
      const servers = await abortable(this.#cluster.survey(), context.signal)
      return { fields: { connections: this.#connections }, servers: servers.map(serverFacts) }
    },
    ways: (ref, context) => this.#explainWays(ref, context),
  }
  readonly #cluster: KmipCluster
  readonly #keys: KeyRing
  readonly #ways: WayRing
  readonly #connections: number

  private constructor(cluster: KmipCluster, options: KmipOptions, report: Report, vendor: string, times: KeyTimes) {
    this.product = { vendor, name: 'KMIP key manager' }
    this.#cluster = cluster
    this.#connections = connectionsOf(options)
    this.#keys = new KeyRing(cluster, times)
    this.#ways = new WayRing(cluster, this.#keys, options.keyAccess === 'export', report)
  }

  /**
   * Connects and agrees on a version. Rejects with an OperatorError for options that cannot be right. A key manager that
   * cannot be reached now is reported and no reason not to start: a gateway must come up while it is away.
   */
  static async open(options: KmipOptions, report: Report, times = keyTimes): Promise<KmipAdapter> {
    checkOptions(options)
    const cluster = new KmipCluster(options, report)
    if (options.keyAccess === 'export') report('warn', 'kmip_keys_exported', { reason: 'keyAccess is export' })
    try {
      const { version, vendor } = await cluster.negotiate()
      report('info', 'kmip_connected', { version, vendor: vendor ?? 'unknown' })
      return new KmipAdapter(cluster, options, report, vendor ?? 'unknown', times)
    } catch (error) {
      const wrong = operatorError(error)
      if (wrong !== undefined) {
        cluster.close()
        throw wrong
      }
      const reason = error instanceof Error ? error.message : 'unknown'
      report('error', 'kmip_unavailable', { reason })
      return new KmipAdapter(cluster, options, report, 'unknown', times)
    }
  }

  get connections(): number {
    return this.#cluster.connections
  }

  async describe(ref: KeyRef, context: CallContext): Promise<KeyDescription> {
    const key = await this.#find(ref, context)
    for (const algorithm of wrapAlgorithms) {
      // Done in time for the first wrap; what goes wrong is told to whoever needs it.
      if (algorithmRow(algorithm).kty === key.description.kty) this.#ways.prepare(key, algorithm).catch(() => undefined)
    }
    return key.description
  }

  wrap(ref: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    return this.#use({ ref, algorithm, use: 'wrap' }, context, (way, { bits }) => {
      // Only now: under a key that cannot do the algorithm, no length is right.
      if (lengthFits(algorithmRow(algorithm).plaintext(bits), plaintext.length)) {
        return way.wrap(plaintext, context.signal)
      }
      throw new AdapterError('INPUT_INVALID', `${algorithm} cannot wrap ${plaintext.length} bytes under ${bits} bits`)
    })
  }

  unwrap(ref: KeyRef, algorithm: WrapAlgorithm, ciphertext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { signal } = context
    return this.#use({ ref, algorithm, use: 'unwrap' }, context, async (way) => {
      try {
        return await way.unwrap(ciphertext, signal)
      } catch (error) {
        if (!(error instanceof KmipRefusal) || meaningOf(error, 'unwrap') !== 'UNCLEAR') throw error
        return way.unwrapAgain(ciphertext, error, signal)
      }
    })
  }

  async probe(context: CallContext): Promise<void> {
    this.#assertOpen(context)
    try {
      await this.#cluster.probe(context.signal)
    } catch (error) {
      throw error instanceof KmipRefusal ? refusalError(error, 'BACKEND_UNAVAILABLE') : error
    }
  }

  async close(): Promise<void> {
    this.#cluster.close()
  }

  async #explainWays(ref: KeyRef, context: CallContext): Promise<WayFound[]> {
    const key = await this.#find(ref, context)
    const algorithms = wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === key.description.kty)
    try {
      return await Promise.all(algorithms.map((algorithm) => this.#ways.explain(key, algorithm, context.signal)))
    } catch (error) {
      throw error instanceof KmipRefusal ? refusalError(error, 'OPERATION_FORBIDDEN') : error
    }
  }

  #assertOpen(context: CallContext): void {
    this.#cluster.assertOpen()
    context.signal.throwIfAborted()
  }

  /** The key as the server described it lately. */
  async #find(ref: KeyRef, context: CallContext): Promise<KmipKey> {
    this.#assertOpen(context)
    const { key, confirmed } = await this.#keys.find(ref, context.signal)
    const now = confirmed === undefined ? key : await abortable(confirmed, context.signal)
    assertUsable(now.attributes, 'describe', new Date())
    return now
  }

  async #use(asked: Asked, context: CallContext, work: Work): Promise<Uint8Array> {
    this.#assertOpen(context)
    const { signal } = context
    const found = await this.#keys.find(asked.ref, signal)
    const assertAllowed = (key: KmipKey) => assertAllows(key, asked)
    return useConfirmed(found, assertAllowed, (key) => this.#attempt(asked, key, work, signal), signal)
  }

  async #attempt(asked: Asked, key: KmipKey, work: Work, signal: CallSignal, again = false): Promise<Used> {
    assertAllows(key, asked)
    try {
      return { key, result: await work(await this.#ways.find(key, asked.algorithm, signal), key.description) }
    } catch (error) {
      if (error instanceof ResultWrong) this.#ways.forget(key, asked.algorithm)
      if (!(error instanceof KmipRefusal)) throw error
      const meaning = meaningOf(error, asked.use)
      if (meaning !== 'KEY_NOT_FOUND' && meaning !== 'OPERATION_FORBIDDEN')
        throw this.#explain(error, meaning, asked, key)
      // The reason alone does not say: the key's state does, and another object may have its Name by now.
      const now = await this.#keys.refresh(asked.ref, signal)
      assertAllows(now, asked)
      if (now.id === key.id || again) throw refusalError(error, 'OPERATION_FORBIDDEN')
      return this.#attempt(asked, now, work, signal, true)
    }
  }

  #explain(refusal: KmipRefusal, meaning: Meaning, { algorithm }: Asked, key: KmipKey): AdapterError {
    if (meaning === 'CIPHERTEXT_INVALID') return invalidCiphertext()
    if (meaning === 'UNCLEAR') return refusalError(refusal, 'BACKEND_UNAVAILABLE')
    if (meaning === 'ALGORITHM_UNSUPPORTED') this.#ways.forget(key, algorithm)
    return refusalError(refusal, meaning)
  }
}

/** What a caller wants. */
interface Asked {
  readonly ref: KeyRef
  readonly algorithm: WrapAlgorithm
  readonly use: 'wrap' | 'unwrap'
}

type Work = (way: Way, description: KeyDescription) => Promise<Uint8Array>

/** Throws unless the key may be used so, as far as its attributes say. */
function assertAllows(key: KmipKey, { algorithm, use }: Asked): void {
  assertUsable(key.attributes, use, new Date())
  assertSuits(key.description, algorithm)
  assertMask(key, use)
}

function serverFacts([address, said]: readonly [string, Negotiated | Error]): ServerFacts {
  if (said instanceof ServerUnreachable) return { address, unusable: said.sentence ?? said.code, fields: {} }
  if (said instanceof Error) return { address, unusable: said.message, fields: {} }
  const { version, vendor, operations } = said
  return { address, fields: { version, ...(vendor !== undefined && { vendor }), operations: operations.size } }
}

function assertSuits(description: KeyDescription, algorithm: WrapAlgorithm): void {
  const { kty } = algorithmRow(algorithm)
  if (kty !== description.kty)
    throw new AdapterError('ALGORITHM_UNSUPPORTED', `${algorithm} needs a key of type ${kty}`)
}

/** RSA is wrapped with the public key; but what a key could not unwrap again is not wrapped either. */
function assertMask({ attributes, description }: KmipKey, use: 'wrap' | 'unwrap'): void {
  const { usageMask: mask } = attributes
  if (mask === undefined) return
  const needed = usageMask.Decrypt | (use === 'wrap' && description.kty === 'oct' ? usageMask.Encrypt : 0)
  if ((mask & needed) === needed) return
  throw new AdapterError('OPERATION_FORBIDDEN', `the key's usage mask does not allow it to ${use}`)
}
