import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { TtlvError } from '../../ttlv-codec/src/index.ts'
import { connectionsOf, type KmipOptions, type KmipServerOptions } from '../options.ts'
import { discoverVersions, query } from '../protocol/discovery.ts'
import { encodeRequest, readResponse, type KmipCredentials } from '../protocol/message.ts'
import { ReplyMismatch, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { areRepeatable, Batches } from './batches.ts'
import { ConnectFailed, Connection, ConnectionLost } from './connection.ts'
import { loginRefused, negotiate, refusesLogin, type Negotiated, type Send } from './negotiation.ts'
import { Connections, type PingAnswer } from './connections.ts'
import { addressOf, tlsOptions } from './tls.ts'
import { isTlsCode, LOGIN_REFUSED, NO_ANSWER, ServerUnreachable } from './unreachable.ts'

const CONNECT_TIMEOUT_MS = 3000
const NEGOTIATION_TIMEOUT_MS = 5000
const PING_TIMEOUT_MS = 2000
/** Milliseconds beyond a round trip, after which an unanswered request may have been lost on the way. */
const QUIET_MS = 100
/** Milliseconds. A request that had less time than this, because its caller used up the rest, proves nothing. */
const SILENCE_MS = 50
/** Milliseconds for an open connection to answer a ping. After that a fresh connection is tried at the same time. */
const HEAD_START_MS = 50
/**
 * Milliseconds. An attempt on a fresh connection that takes longer may itself be lost, so the next check starts
 * another.
 */
const JOINED_MS = 500
/** Milliseconds to find out whether a login is refused. */
const LOGIN_MS = 2000
/** Milliseconds for which a refusal of one object's requests is known to be no refusal of the login. */
const LOGIN_FINE_MS = 1000
/**
 * How many connections in a row may be dropped before a call fails. The connection after them is almost certainly new.
 */
const MAX_DROPPED = 2

type Lend = Connections['use']

/** What a server reports of itself. */
interface ServerEvents {
  /** A request was not answered, and neither was any other since it was sent. */
  doubt(): void
  /** The login is refused. `began` is when the question began, on `performance.now()`'s clock. */
  loginRefused(began: number): void
}

const unavailable = (message: string) => new AdapterError('BACKEND_UNAVAILABLE', message)

/** One KMIP server: its connections, and what was negotiated with it. */
export class KmipServer {
  readonly address: string
  readonly #credentials: KmipCredentials | undefined
  readonly #offered: readonly KmipVersion[]
  readonly #events: ServerEvents
  readonly #connections: Connections
  #negotiated: Negotiated | Promise<Negotiated> | undefined
  readonly #batches = new Batches((operations, version, signal) => this.#send(operations, version, signal))
  #nextId = 1
  /** The last attempt on a fresh connection, while it is under way. */
  #fresh: { readonly began: number; readonly answered: Promise<void> } | undefined
  #heardAt = 0
  /**
   * About the shortest recent round trip. It grows when all answers take longer, because the network has become slower.
   */
  #roundTripMs: number | undefined
  /** True from a refused login to the next that is accepted. Each request would be another login. */
  #isLoginRefused = false
  /** Is true if the login is refused. Undefined while nobody asks. */
  #loginCheck: Promise<boolean> | undefined
  /** Objects whose requests the server refuses with the reason of a refused login, and until when that is believed. */
  readonly #loginFineFor = new Map<string | undefined, number>()
  /** Each is called once when the server has answered a request. */
  readonly #listeners = new Set<() => void>()

  constructor(server: KmipServerOptions, options: KmipOptions, events: ServerEvents) {
    const connect = tlsOptions(server, options)
    this.address = addressOf(server)
    this.#credentials = options.credentials
    this.#offered = options.protocol === undefined ? kmipVersions : [options.protocol]
    this.#events = events
    this.#connections = new Connections({
      open: () => Connection.open(connect, CONNECT_TIMEOUT_MS),
      max: connectionsOf(options),
      ping: (connection) => this.#ping(connection),
    })
  }

  /**
   * Sends the operations, as one message if the server accepts that. A refusal is an outcome, not a rejection.
   * @throws ServerUnreachable if nothing could be sent; the signal's reason; an AdapterError
   */
  async call(operations: readonly KmipOperation<unknown>[], signal: CallSignal): Promise<Outcome<unknown>[]> {
    const { version } = await abortable(this.negotiate(), signal)
    if (operations.length === 1) return this.#send(operations, version, signal)
    return this.#batches.ask(operations, version, signal)
  }

  /**
   * Agrees on a version and asks what the server supports: once, and again after {@link forget}. A known result is
   * returned at once.
   */
  negotiate(): Negotiated | Promise<Negotiated> {
    if (this.#negotiated !== undefined) return this.#negotiated
    const asked = this.#negotiate(AbortSignal.timeout(NEGOTIATION_TIMEOUT_MS))
    this.#negotiated = asked
    const settle = (negotiated?: Negotiated) => {
      if (this.#negotiated === asked) this.#negotiated = negotiated
    }
    asked.then(settle, () => settle())
    return asked
  }

  /**
   * Resolves if the server answers, on any open connection or else on a fresh one. Connections that stay silent while a
   * fresh one is answered are closed.
   * @throws ServerUnreachable, KmipRefusal or the signal's reason
   */
  async check(signal: CallSignal): Promise<void> {
    if (!this.#isAgreed) {
      this.#negotiated = await this.#negotiate(signal)
      this.#isLoginRefused = false
      return
    }
    const began = performance.now()
    const answer = new Promise<void>((resolve) => this.#listeners.add(resolve))
    const pings = this.#connections.pingIdle(answer)
    const headStart = later(HEAD_START_MS + (this.#roundTripMs ?? 0))
    const said = await Promise.race([answer, pings, headStart])
    if (this.#heardAt >= began) return
    if (said === 'login refused') throw loginRefused(this.address)
    const fresh = this.#askSoon(began, signal)
    await Promise.race([answer, fresh])
  }

  /**
   * Whether the server refuses this client's login, after it has refused a request for `object` with that reason: a
   * server may do so for one key alone. The login is tried once, on a connection of its own and without a key, and all
   * other requests wait for the result.
   *
   * @throws ServerUnreachable
   */
  async refusesLogin(object: string | undefined): Promise<boolean> {
    if (this.#isLoginRefused) return true
    if (performance.now() < (this.#loginFineFor.get(object) ?? 0)) return false
    this.#loginCheck ??= this.#tryLogin(object).finally(() => (this.#loginCheck = undefined))
    return this.#loginCheck
  }

  async #tryLogin(object: string | undefined): Promise<boolean> {
    const began = performance.now()
    try {
      const { version } = await this.negotiate()
      const outcomes = await this.#onFresh((send) => send([query], version, AbortSignal.timeout(LOGIN_MS)))
      this.#isLoginRefused = outcomes.some(refusesLogin)
    } catch (error) {
      if (error instanceof ServerUnreachable) throw error
      // Without an answer nothing is known.
    }
    if (this.#isLoginRefused) this.#events.loginRefused(began)
    else {
      const now = performance.now()
      for (const [other, until] of this.#loginFineFor) if (until < now) this.#loginFineFor.delete(other)
      this.#loginFineFor.set(object, now + LOGIN_FINE_MS)
    }
    return this.#isLoginRefused
  }

  /** @throws ServerUnreachable if a request would only be another login that is refused */
  async #mayLogIn(signal: CallSignal): Promise<void> {
    const isRefused = this.#loginCheck === undefined ? this.#isLoginRefused : await abortable(this.#loginCheck, signal)
    if (isRefused) throw loginRefused(this.address)
  }

  /** Forgets what was negotiated and closes idle connections, because the server may have been replaced. */
  forget(): void {
    this.#negotiated = undefined
    this.#batches.forget()
    this.#roundTripMs = undefined
    this.#connections.reset()
  }

  /** When the server last answered a request, on `performance.now()`'s clock. */
  get heardAt(): number {
    return this.#heardAt
  }

  /** The number of connections that are open or being opened. */
  get connections(): number {
    return this.#connections.size
  }

  close(): void {
    this.#connections.close()
  }

  get #isAgreed(): boolean {
    return this.#negotiated !== undefined && !(this.#negotiated instanceof Promise)
  }

  async #negotiate(signal: CallSignal): Promise<Negotiated> {
    try {
      return await this.#onFresh((send) => negotiate(send, this.address, this.#offered, signal))
    } catch (error) {
      throw asUnreachable(error, this.address)
    }
  }

  /**
   * Joins a check that has just begun. The check goes on when nobody waits for it, because it also judges other
   * connections.
   */
  #askSoon(began: number, signal: CallSignal): Promise<void> {
    if (this.#fresh !== undefined && performance.now() - this.#fresh.began < JOINED_MS) return this.#fresh.answered
    const fresh = { began: performance.now(), answered: this.#askFresh(began, signal) }
    this.#fresh = fresh
    const forget = () => {
      if (this.#fresh === fresh) this.#fresh = undefined
    }
    fresh.answered.then(forget, forget)
    return fresh.answered
  }

  async #askFresh(began: number, signal: CallSignal): Promise<void> {
    try {
      const [outcome] = await this.#onFresh(async (send) => {
        const outcomes = await send([discoverVersions(kmipVersions)], '1.2', signal)
        await nextTurn()
        this.#connections.closeSilent(began)
        return outcomes
      })
      if (outcome?.ok === false) throw refusesLogin(outcome) ? loginRefused(this.address) : outcome.refusal
      this.#isLoginRefused = false
    } catch (error) {
      throw asUnreachable(error, this.address)
    }
  }

  /** Sends a request on a connection that is opened for it, and leaves the connection to the other callers. */
  async #onFresh<T>(work: (send: Send) => Promise<T>): Promise<T> {
    let connection: Connection | undefined
    const lend: Lend = async (signal, use) => {
      if (connection?.isOpen !== true) connection = await this.#connections.openFresh(signal)
      return use(connection)
    }
    try {
      return await work((operations, version, signal) => this.#send(operations, version, signal, lend))
    } catch (error) {
      // What keeps an idle connection open would be another login.
      if (error instanceof ServerUnreachable && error.code === LOGIN_REFUSED) connection?.close()
      throw error
    } finally {
      if (connection !== undefined) this.#connections.giveBack(connection)
    }
  }

  async #send(
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
    lend?: Lend,
  ): Promise<Outcome<unknown>[]> {
    const { object } = operations[0] ?? {}
    const ask = async (connection: Connection): Promise<Outcome<unknown>[]> => {
      await this.#mayLogIn(signal)
      const outcomes = await this.#exchange(connection, operations, version, signal)
      // The question comes before the next request, which may wait for this very connection.
      if (outcomes.some(refusesLogin)) this.refusesLogin(object).catch(() => undefined)
      return outcomes
    }
    for (let attempt = 1; ; attempt++) {
      let wasUsed = false
      try {
        const note = (connection: Connection) => {
          wasUsed = connection.wasUsed
          return connection
        }
        if (lend === undefined) return await this.#connections.use(signal, (one) => ask(note(one)), object)
        return await lend(signal, (one) => this.#exchange(note(one), operations, version, signal))
      } catch (error) {
        // The server dropped an idle connection at this very moment. It may have dropped several together.
        const mayTryAgain = wasUsed && areRepeatable(operations) && attempt <= 1 + MAX_DROPPED
        if (mayTryAgain && error instanceof ConnectionLost && !error.replyStarted) continue
        throw this.#failure(error, wasUsed)
      }
    }
  }

  #failure(error: unknown, wasUsed: boolean): unknown {
    if (error instanceof ConnectFailed) return new ServerUnreachable(error.code)
    // The server did not accept this client, so it did not process the request.
    if (error instanceof ConnectionLost && !wasUsed && error.code !== undefined && isTlsCode(error.code)) {
      return new ServerUnreachable(error.code)
    }
    if (error instanceof ConnectionLost) {
      this.#doubt()
      const hint = wasUsed ? '' : '; servers that do not accept a client certificate do this'
      return unavailable(`${this.address} closed the connection instead of answering${hint}`)
    }
    if (error instanceof TtlvError || error instanceof ReplyMismatch) {
      this.#doubt()
      return unavailable(`${this.address} answered with a message that is not a KMIP reply: ${error.message}`)
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
    const request = encodeRequest(operations, version, firstId, this.#credentials)
    const sentAt = performance.now()
    let isUnderWay = true
    const timer = setTimeout(
      () => void nextTurn().then(() => isUnderWay && this.#doubtSince(sentAt)),
      QUIET_MS + (this.#roundTripMs ?? 0),
    )
    let frame: Uint8Array
    try {
      // A server that answers other requests will answer this one, too. A new connection would cost all of them more.
      frame = await connection.exchange(request, signal, () => this.#heardAt >= sentAt && this.#connections.mayBeLate)
    } catch (error) {
      if (signal.aborted && performance.now() - sentAt >= SILENCE_MS + (this.#roundTripMs ?? 0))
        this.#doubtSince(sentAt)
      throw error
    } finally {
      isUnderWay = false
      clearTimeout(timer)
    }
    try {
      const outcomes = readResponse(frame, operations, version, firstId)
      if (outcomes.some(({ ok }) => ok)) this.#hear(sentAt)
      return outcomes
    } catch (error) {
      connection.close()
      throw error
    } finally {
      frame.fill(0)
    }
  }

  #hear(sentAt: number): void {
    this.#heardAt = performance.now()
    this.#roundTripMs = Math.min(2 * (this.#roundTripMs ?? Infinity) + 1, this.#heardAt - sentAt)
    for (const listener of this.#listeners) listener()
    this.#listeners.clear()
  }

  /** Without a negotiated version the negotiation fails, and that is reported by itself. */
  #doubt(): void {
    if (this.#isAgreed) this.#events.doubt()
  }

  #doubtSince(sentAt: number): void {
    if (this.#heardAt < sentAt) this.#doubt()
  }

  async #ping(connection: Connection): Promise<PingAnswer> {
    const began = performance.now()
    const signal = AbortSignal.timeout(PING_TIMEOUT_MS)
    const outcomes = await this.#exchange(connection, [discoverVersions(kmipVersions)], '1.2', signal)
    if (!outcomes.some(refusesLogin)) return 'accepted'
    this.#isLoginRefused = true
    this.#events.loginRefused(began)
    return 'login refused'
  }
}

/** Replies that arrived while this process was busy are read before the next turn. Timers would fire first. */
const later = (ms: number): Promise<void> => sleep(ms).then(() => nextTurn())

/** An error that shows that the server cannot be used at all, whatever the request was. */
function asUnreachable(error: unknown, address: string): unknown {
  if (error instanceof AdapterError && error.code === 'BACKEND_UNAVAILABLE') {
    return new ServerUnreachable(NO_ANSWER, error.message)
  }
  if (error instanceof DOMException) return new ServerUnreachable(NO_ANSWER, `${address} did not answer in time`)
  return error
}

/** The value. Throws the refusal. */
export function valueOf<Result>(outcome: Outcome<Result> | undefined): Result {
  if (outcome === undefined) throw new ReplyMismatch('no outcome')
  if (outcome.ok) return outcome.value
  throw outcome.refusal
}
