import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { TtlvError } from '../../ttlv-codec/src/index.ts'
import { connectionsOf, type KmipOptions, type KmipServerOptions } from '../options.ts'
import { discoverVersions, query, type ServerCapabilities } from '../protocol/discovery.ts'
import { encodeRequest, readResponse, type KmipCredentials } from '../protocol/message.ts'
import { ReplyMismatch, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { ConnectFailed, Connection, ConnectionLost } from './connection.ts'
import { Pool } from './pool.ts'
import { addressOf, tlsOptions } from './tls.ts'

const CONNECT_TIMEOUT_MS = 3000
const NEGOTIATION_TIMEOUT_MS = 5000
const PING_TIMEOUT_MS = 2000

/** What was found out about a server. */
export interface Negotiated extends ServerCapabilities {
  readonly version: KmipVersion
}

/** Nothing was sent, so that another server can be asked instead. */
export class ServerUnreachable extends Error {
  override readonly name = 'ServerUnreachable'
  readonly code: string

  constructor(code: string) {
    super(`the server cannot be reached: ${code}`)
    this.code = code
  }
}

/** Nearly every server answers to an old header; PyKMIP refuses one of 2.1 outright. */
const oldestFirst = [...kmipVersions].reverse()

const unavailable = (message: string) => new AdapterError('BACKEND_UNAVAILABLE', message)

/** One KMIP server: its connections, and the protocol version that was agreed with it. */
export class KmipServer {
  readonly address: string
  readonly #credentials: KmipCredentials | undefined
  readonly #fixedVersion: KmipVersion | undefined
  readonly #pool: Pool
  #negotiated: Negotiated | Promise<Negotiated> | undefined
  #nextId = 1

  constructor(server: KmipServerOptions, options: KmipOptions) {
    const connect = tlsOptions(server, options)
    this.address = addressOf(server)
    this.#credentials = options.credentials
    this.#fixedVersion = options.protocol
    this.#pool = new Pool({
      open: (onClose) => Connection.open(connect, CONNECT_TIMEOUT_MS, onClose),
      max: connectionsOf(options),
      ping: (connection) => this.#ping(connection),
    })
  }

  /**
   * Sends the operations as one batch. Rejects with {@link ServerUnreachable} if nothing could be sent, with the signal's
   * reason, or with an AdapterError; a server that says no is an outcome.
   */
  async call(operations: readonly KmipOperation<unknown>[], signal: CallSignal): Promise<Outcome<unknown>[]> {
    const { version } = await abortable(this.negotiate(), signal)
    return this.#send(operations, version, signal)
  }

  /** Agrees on a version and asks what the server can do, once; after {@link forget} anew. What is known is given at once. */
  negotiate(): Negotiated | Promise<Negotiated> {
    if (this.#negotiated !== undefined) return this.#negotiated
    const asked = this.#negotiate()
    this.#negotiated = asked
    const settle = (negotiated?: Negotiated) => {
      if (this.#negotiated === asked) this.#negotiated = negotiated
    }
    asked.then(settle, () => settle())
    return asked
  }

  /** What was agreed is not believed any more: the server may have been replaced by another version. */
  forget(): void {
    this.#negotiated = undefined
  }

  /** Connections that are open or being opened. */
  get connections(): number {
    return this.#pool.size
  }

  close(): void {
    this.#pool.close()
  }

  async #negotiate(): Promise<Negotiated> {
    const signal = AbortSignal.timeout(NEGOTIATION_TIMEOUT_MS)
    try {
      const version = await this.#agree(signal)
      const [capabilities] = await this.#send([query], version, signal)
      // A server may answer Query to nobody: then what it can do shows when it is asked to.
      return { version, ...(capabilities?.ok ? (capabilities.value as ServerCapabilities) : { operations: new Set() }) }
    } catch (error) {
      if (signal.aborted) throw unavailable(`${this.address} did not answer in time`)
      throw error
    }
  }

  /** A server may refuse a header of a version that it does not know, so the question goes out in several. */
  async #agree(signal: CallSignal): Promise<KmipVersion> {
    const offered = this.#fixedVersion === undefined ? kmipVersions : [this.#fixedVersion]
    let silence: AdapterError | undefined
    for (const header of oldestFirst) {
      try {
        const [outcome] = await this.#send([discoverVersions(offered)], header, signal)
        if (!outcome?.ok) continue
        const [best] = outcome.value as readonly KmipVersion[]
        if (best !== undefined) return best
      } catch (error) {
        // Some servers answer nothing at all to a header that they cannot read.
        if (!(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE' || signal.aborted) throw error
        silence = error
      }
    }
    if (silence !== undefined) throw silence
    throw unavailable(`${this.address} speaks none of KMIP ${offered.join(', ')}`)
  }

  async #send(
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
  ): Promise<Outcome<unknown>[]> {
    const repeatable = operations.every((operation) => operation.repeatable)
    for (let attempt = 1; ; attempt++) {
      let wasUsed = false
      try {
        return await this.#pool.use(signal, (connection) => {
          wasUsed = connection.wasUsed
          return this.#exchange(connection, operations, version, signal)
        })
      } catch (error) {
        if (error instanceof ConnectFailed) throw new ServerUnreachable(error.code)
        if (error instanceof ConnectionLost) {
          // An idle connection that the server dropped at this very moment. Several may have been dropped together.
          if (wasUsed && !error.replyStarted && repeatable && attempt <= 1 + MAX_DROPPED) continue
          throw unavailable(`${this.address} closed the connection instead of answering`)
        }
        if (error instanceof TtlvError || error instanceof ReplyMismatch) {
          throw unavailable(`${this.address} answered with something else: ${error.message}`)
        }
        throw error
      }
    }
  }

  async #exchange(
    connection: Connection,
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
  ): Promise<Outcome<unknown>[]> {
    const firstId = this.#nextId
    this.#nextId += operations.length
    const frame = await connection.exchange(encodeRequest(operations, version, firstId, this.#credentials), signal)
    try {
      return readResponse(frame, operations, version, firstId)
    } catch (error) {
      connection.close()
      throw error
    } finally {
      frame.fill(0)
    }
  }

  async #ping(connection: Connection): Promise<void> {
    const operation = discoverVersions(kmipVersions)
    try {
      await this.#exchange(connection, [operation], '1.2', AbortSignal.timeout(PING_TIMEOUT_MS))
    } catch {
      connection.close()
    }
  }
}

/** At most as many as a pool can have dropped at once is not worth it: the next one is most probably new. */
const MAX_DROPPED = 2

/** The value, or the refusal thrown. */
export function valueOf<Result>(outcome: Outcome<Result> | undefined): Result {
  if (outcome === undefined) throw new ReplyMismatch('no outcome')
  if (outcome.ok) return outcome.value
  throw outcome.refusal
}
