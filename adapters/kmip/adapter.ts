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
import type { Requests } from './transport/requests.ts'
import type { Negotiated } from './transport/negotiation.ts'
import { operatorError, ServerUnreachable } from './transport/unreachable.ts'

/** Milliseconds to describe a key of a server that is not needed yet. */
const PREPARE_MS = 2000

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
  readonly #rings: ReadonlyMap<Requests, Rings>
  readonly #connections: number

  private constructor(cluster: KmipCluster, options: KmipOptions, report: Report, vendor: string, times: KeyTimes) {
    this.product = { vendor, name: 'KMIP key manager' }
    this.#cluster = cluster
    this.#connections = connectionsOf(options)
    this.#rings = new Map(
      cluster.servers.map((server) => {
        const keys = new KeyRing(server, times)
        return [server, { keys, ways: new WayRing(server, keys, options.keyAccess === 'export', report) }]
      }),
    )
  }

  /**
   * Connects and agrees on a version. A key manager that cannot be reached now is reported, and does not prevent the
   * start.
   * @throws OperatorError for impossible options
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
    this.#assertOpen(context)
    const { description } = await this.#withServer(async (rings) => {
      const key = await findIn(rings, ref, context)
      prepareWays(rings, key)
      // The others are ready for the time when they are needed.
      for (const other of this.#rings.values()) if (other !== rings) void prepareKey(other, ref)
      return key
    }, context.signal)
    return description
  }

  wrap(ref: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    return this.#use({ ref, algorithm, use: 'wrap' }, context, (way, { bits }) => {
      // Checked only here: under a key that cannot do the algorithm, no length is right.
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
    this.#assertOpen(context)
    try {
      return await this.#withServer(async (rings) => {
        const key = await findIn(rings, ref, context)
        return Promise.all(algorithmsOf(key).map((algorithm) => rings.ways.explain(key, algorithm, context.signal)))
      }, context.signal)
    } catch (error) {
      throw error instanceof KmipRefusal ? refusalError(error, 'OPERATION_FORBIDDEN') : error
    }
  }

  #assertOpen(context: CallContext): void {
    this.#cluster.assertOpen()
    context.signal.throwIfAborted()
  }

  /** Does `work` with what is known of the first healthy server, as {@link KmipCluster.onOne} does. */
  async #withServer<Result>(work: (rings: Rings) => Promise<Result>, signal: CallSignal): Promise<Result> {
    try {
      return await this.#cluster.onOne((server) => work(this.#rings.get(server) as Rings), signal)
    } catch (error) {
      const isMissing = error instanceof AdapterError && error.code === 'KEY_NOT_FOUND'
      if (!isMissing || !this.#cluster.hasUnasked) throw error
      throw new AdapterError('BACKEND_UNAVAILABLE', 'a server that cannot be asked may have the key')
    }
  }

  async #use(asked: Asked, context: CallContext, work: Work): Promise<Uint8Array> {
    this.#assertOpen(context)
    const { signal } = context
    const assertAllowed = (key: KmipKey) => assertAllows(key, asked)
    return this.#withServer(async (rings) => {
      const found = await rings.keys.find(asked.ref, signal)
      return useConfirmed(found, assertAllowed, (key) => this.#attempt(rings, asked, key, work, signal), signal)
    }, signal)
  }

  async #attempt(
    rings: Rings,
    asked: Asked,
    key: KmipKey,
    work: Work,
    signal: CallSignal,
    again = false,
  ): Promise<Used> {
    assertAllows(key, asked)
    const { keys, ways } = rings
    try {
      return { key, result: await work(await ways.find(key, asked.algorithm, signal), key.description) }
    } catch (error) {
      if (error instanceof ResultWrong) ways.forget(key, asked.algorithm)
      if (!(error instanceof KmipRefusal)) throw error
      const meaning = meaningOf(error, asked.use)
      if (meaning === 'ALGORITHM_UNSUPPORTED') ways.forget(key, asked.algorithm)
      if (meaning !== 'KEY_NOT_FOUND' && meaning !== 'OPERATION_FORBIDDEN') throw explained(error, meaning)
      // The reason alone is ambiguous. The key's present state is not, and another object may have its Name by now.
      const now = await keys.refresh(asked.ref, signal)
      assertAllows(now, asked)
      if (now.id === key.id || again) throw refusalError(error, 'OPERATION_FORBIDDEN')
      return this.#attempt(rings, asked, now, work, signal, true)
    }
  }
}

/** What is known of one server's keys, and how it does each algorithm. */
interface Rings {
  readonly keys: KeyRing
  readonly ways: WayRing
}

/** The key as the server last described it. */
async function findIn({ keys }: Rings, ref: KeyRef, { signal }: CallContext): Promise<KmipKey> {
  const { key, confirmed } = await keys.find(ref, signal)
  const now = confirmed === undefined ? key : await abortable(confirmed, signal)
  assertUsable(now.attributes, 'describe', new Date())
  return now
}

const algorithmsOf = ({ description: { kty } }: KmipKey): readonly WrapAlgorithm[] =>
  wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === kty)

/** A way is ready in time for the first wrap. An error is reported by the call that needs the way. */
function prepareWays({ ways }: Rings, key: KmipKey): void {
  for (const algorithm of algorithmsOf(key)) ways.prepare(key, algorithm).catch(() => undefined)
}

async function prepareKey(rings: Rings, ref: KeyRef): Promise<void> {
  try {
    prepareWays(rings, (await rings.keys.find(ref, AbortSignal.timeout(PREPARE_MS))).key)
  } catch {
    // The call that needs the key says what is wrong.
  }
}

function explained(refusal: KmipRefusal, meaning: Meaning): AdapterError {
  if (meaning === 'CIPHERTEXT_INVALID') return invalidCiphertext()
  return refusalError(refusal, meaning === 'UNCLEAR' ? 'BACKEND_UNAVAILABLE' : meaning)
}

/** What a caller asks for. */
interface Asked {
  readonly ref: KeyRef
  readonly algorithm: WrapAlgorithm
  readonly use: 'wrap' | 'unwrap'
}

type Work = (way: Way, description: KeyDescription) => Promise<Uint8Array>

/** Throws unless the key's attributes allow this use. */
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

/** RSA is wrapped with the public key. A key that could not unwrap the value again does not wrap it either. */
function assertMask({ attributes, description }: KmipKey, use: 'wrap' | 'unwrap'): void {
  const { usageMask: mask } = attributes
  if (mask === undefined) return
  const needed = usageMask.Decrypt | (use === 'wrap' && description.kty === 'oct' ? usageMask.Encrypt : 0)
  if ((mask & needed) === needed) return
  throw new AdapterError('OPERATION_FORBIDDEN', `the key's usage mask does not allow it to ${use}`)
}
