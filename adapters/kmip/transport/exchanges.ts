import { setImmediate as nextTurn } from 'node:timers/promises'
import { AdapterError, type CallSignal } from '../../contract/index.ts'
import { TtlvError } from '../../ttlv-codec/src/index.ts'
import { discoverVersions } from '../protocol/discovery.ts'
import { encodeRequest, readResponse, type KmipCredentials } from '../protocol/message.ts'
import { ReplyMismatch, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { Answers } from './answers.ts'
import { areRepeatable } from './batches.ts'
import { ConnectFailed, ConnectionLost, type Connection } from './connection.ts'
import type { Connections } from './connections.ts'
import type { Login } from './login.ts'
import { refusesLogin, type Send } from './negotiation.ts'
import type { PingAnswer } from './pings.ts'
import { isTlsCode, LOGIN_REFUSED, ServerUnreachable } from './unreachable.ts'

const PING_TIMEOUT_MS = 2000
/** Milliseconds beyond a round trip, after which an unanswered request may have been lost on the way. */
const QUIET_MS = 100
/** Milliseconds. A request that had less time than this, because its caller used up the rest, proves nothing. */
const SILENCE_MS = 50
/**
 * How many connections in a row may be dropped before a call fails. The connection after them is almost certainly new.
 */
const MAX_DROPPED = 2

type Lend = Connections['use']

const unavailable = (message: string) => new AdapterError('BACKEND_UNAVAILABLE', message)

export interface ExchangesOptions {
  readonly address: string
  readonly credentials: KmipCredentials | undefined
  readonly connections: Connections
  readonly login: Login
  /** Called when a request was not answered, and neither was any other since it was sent. */
  readonly onDoubt: () => void
}

/** Exchanges messages with one server: sends a request on a connection, reads the reply, and tries again where it may. */
export class Exchanges {
  readonly answers = new Answers()
  readonly #options: ExchangesOptions
  #nextId = 1

  constructor(options: ExchangesOptions) {
    this.#options = options
  }

  /**
   * Sends the operations as one message. A refusal is an outcome, not a rejection.
   * @param lend by default, any connection is used, if the server accepts the login
   * @throws ServerUnreachable if nothing could be sent; the signal's reason; an AdapterError
   */
  async send(
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
    lend?: Lend,
  ): Promise<Outcome<unknown>[]> {
    const { connections } = this.#options
    const { object } = operations[0] ?? {}
    for (let attempt = 1; ; attempt++) {
      let wasSettled = false
      try {
        const ask = (connection: Connection) => {
          wasSettled = connection.isSettled
          const exchange = () => this.#exchange(connection, operations, version, signal)
          return lend === undefined ? this.#withLogin(exchange, object, signal) : exchange()
        }
        return await (lend === undefined ? connections.use(signal, ask, object) : lend(signal, ask))
      } catch (error) {
        // The server dropped an idle connection at this very moment. It may have dropped several together.
        const mayTryAgain = wasSettled && areRepeatable(operations) && attempt <= 1 + MAX_DROPPED
        if (mayTryAgain && error instanceof ConnectionLost && !error.replyStarted) continue
        throw this.#failure(error, wasSettled)
      }
    }
  }

  /** Sends a request on a connection that is opened for it, and leaves the connection to the other callers. */
  async onFresh<T>(work: (send: Send) => Promise<T>): Promise<T> {
    let connection: Connection | undefined
    const lend: Lend = async (signal, use) => {
      if (connection?.isOpen !== true) connection = await this.#options.connections.openFresh(signal)
      return use(connection)
    }
    try {
      return await work((operations, version, signal) => this.send(operations, version, signal, lend))
    } catch (error) {
      // What keeps an idle connection open would be another login.
      if (error instanceof ServerUnreachable && error.code === LOGIN_REFUSED) connection?.close()
      throw error
    } finally {
      if (connection !== undefined) this.#options.connections.giveBack(connection)
    }
  }

  /** Sends a small request on a connection. Rejects if it is not answered. */
  async ping(connection: Connection): Promise<PingAnswer> {
    const began = performance.now()
    const signal = AbortSignal.timeout(PING_TIMEOUT_MS)
    const outcomes = await this.#exchange(connection, [discoverVersions(kmipVersions)], '1.2', signal)
    if (!outcomes.some(refusesLogin)) return 'accepted'
    this.#options.login.refused(began)
    return 'login refused'
  }

  async #withLogin(
    exchange: () => Promise<Outcome<unknown>[]>,
    object: string | undefined,
    signal: CallSignal,
  ): Promise<Outcome<unknown>[]> {
    const { login } = this.#options
    await login.assertAccepted(signal)
    const outcomes = await exchange()
    // The question comes before the next request, which may wait for this very connection.
    if (outcomes.some(refusesLogin)) login.refuses(object).catch(() => undefined)
    return outcomes
  }

  #failure(error: unknown, wasSettled: boolean): unknown {
    if (error instanceof ConnectFailed) return new ServerUnreachable(error.code)
    // The server did not accept this client, so it did not process the request.
    if (error instanceof ConnectionLost && !wasSettled && error.code !== undefined && isTlsCode(error.code)) {
      return new ServerUnreachable(error.code)
    }
    if (error instanceof ConnectionLost) {
      this.#options.onDoubt()
      const hint = wasSettled ? '' : '; servers that do not accept a client certificate do this'
      return unavailable(`${this.#options.address} closed the connection instead of answering${hint}`)
    }
    if (error instanceof TtlvError || error instanceof ReplyMismatch) {
      this.#options.onDoubt()
      return unavailable(`${this.#options.address} answered with a message that is not a KMIP reply: ${error.message}`)
    }
    return error
  }

  async #exchange(
    connection: Connection,
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
  ): Promise<Outcome<unknown>[]> {
    const firstId = this.#nextId
    this.#nextId += operations.length
    const request = encodeRequest(operations, version, firstId, this.#options.credentials)
    const sentAt = performance.now()
    let isUnderWay = true
    const timer = setTimeout(
      () => void nextTurn().then(() => isUnderWay && this.#doubtSince(sentAt)),
      QUIET_MS + this.answers.roundTripMs,
    )
    let frame: Uint8Array
    try {
      // A server that answers other requests will answer this one, too. A new connection would cost all of them more.
      frame = await connection.exchange(
        request,
        signal,
        () => this.answers.lastAt >= sentAt && this.#options.connections.mayBeLate,
      )
    } catch (error) {
      if (signal.aborted && performance.now() - sentAt >= SILENCE_MS + this.answers.roundTripMs)
        this.#doubtSince(sentAt)
      throw error
    } finally {
      isUnderWay = false
      clearTimeout(timer)
    }
    try {
      const outcomes = readResponse(frame, operations, version, firstId)
      if (outcomes.some(({ ok }) => ok)) this.answers.note(sentAt)
      return outcomes
    } catch (error) {
      connection.close()
      throw error
    } finally {
      frame.fill(0)
    }
  }

  #doubtSince(sentAt: number): void {
    if (this.answers.lastAt < sentAt) this.#options.onDoubt()
  }
}
