import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { connectionsOf, type KmipOptions, type KmipServerOptions } from '../options.ts'
import { discoverVersions, query } from '../protocol/discovery.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { Batches } from './batches.ts'
import { Connection } from './connection.ts'
import { Connections } from './connections.ts'
import { Exchanges } from './exchanges.ts'
import { Login } from './login.ts'
import { loginRefused, negotiate, refusesLogin, type Negotiated } from './negotiation.ts'
import { addressOf, tlsOptions } from './tls.ts'
import { NO_ANSWER, ServerUnreachable } from './unreachable.ts'

const CONNECT_TIMEOUT_MS = 3000
const NEGOTIATION_TIMEOUT_MS = 5000
/** Milliseconds for an open connection to answer a ping. After that a fresh connection is tried at the same time. */
const HEAD_START_MS = 50
/**
 * Milliseconds. An attempt on a fresh connection that takes longer may itself be lost, so the next check starts
 * another.
 */
const JOINED_MS = 500
/** Milliseconds to find out whether a login is refused. */
const LOGIN_MS = 2000

/** What a server reports of itself. */
interface ServerEvents {
  /** A request was not answered, and neither was any other since it was sent. */
  doubt(): void
  /** The login is refused. `began` is when it was tried, on `performance.now()`'s clock. */
  loginRefused(began: number): void
}

/** One KMIP server: its connections, and what was negotiated with it. */
export class KmipServer {
  readonly address: string
  readonly #offered: readonly KmipVersion[]
  readonly #connections: Connections
  readonly #exchanges: Exchanges
  readonly #login: Login
  readonly #batches: Batches
  #negotiated: Negotiated | Promise<Negotiated> | undefined
  /** The last attempt on a fresh connection, while it is under way. */
  #fresh: { readonly began: number; readonly answered: Promise<void> } | undefined

  constructor(server: KmipServerOptions, options: KmipOptions, events: ServerEvents) {
    const connect = tlsOptions(server, options)
    this.address = addressOf(server)
    this.#offered = options.protocol === undefined ? kmipVersions : [options.protocol]
    this.#connections = new Connections({
      open: () => Connection.open(connect, CONNECT_TIMEOUT_MS),
      max: connectionsOf(options),
      areLogins: options.credentials !== undefined,
      ping: (connection) => this.#exchanges.ping(connection),
    })
    this.#login = new Login({
      address: this.address,
      isRefused: () => this.#isLoginRefused(),
      onRefused: (began) => events.loginRefused(began),
    })
    this.#exchanges = new Exchanges({
      address: this.address,
      credentials: options.credentials,
      connections: this.#connections,
      login: this.#login,
      onDoubt: () => {
        // Without a negotiated version the negotiation fails, and that is reported by itself.
        if (this.#isAgreed) events.doubt()
      },
    })
    this.#batches = new Batches((operations, version, signal) => this.#exchanges.send(operations, version, signal))
  }

  /**
   * Sends the operations, as one message if the server accepts that. A refusal is an outcome, not a rejection.
   * @throws ServerUnreachable if nothing could be sent; the signal's reason; an AdapterError
   */
  async call(operations: readonly KmipOperation<unknown>[], signal: CallSignal): Promise<Outcome<unknown>[]> {
    const { version } = await abortable(this.negotiate(), signal)
    if (operations.length === 1) return this.#exchanges.send(operations, version, signal)
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
      this.#login.accepted()
      return
    }
    const began = performance.now()
    const { answers } = this.#exchanges
    const answer = answers.next()
    const pings = this.#connections.pingIdle(answer)
    const headStart = later(HEAD_START_MS + answers.roundTripMs)
    const said = await Promise.race([answer, pings, headStart])
    if (answers.lastAt >= began) return
    if (said === 'login refused') throw loginRefused(this.address)
    const fresh = this.#askSoon(began, signal)
    await Promise.race([answer, fresh])
  }

  /** Like {@link Login.refuses}. */
  refusesLogin(object: string | undefined): Promise<boolean> {
    return this.#login.refuses(object)
  }

  /** Forgets what was negotiated and closes idle connections, because the server may have been replaced. */
  forget(): void {
    this.#negotiated = undefined
    this.#batches.forget()
    this.#exchanges.answers.forget()
    this.#connections.reset()
  }

  /** When the server last answered a request, on `performance.now()`'s clock. */
  get heardAt(): number {
    return this.#exchanges.answers.lastAt
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
      return await this.#exchanges.onFresh((send) => negotiate(send, this.address, this.#offered, signal))
    } catch (error) {
      throw asUnreachable(error, this.address)
    }
  }

  async #isLoginRefused(): Promise<boolean> {
    const { version } = await this.negotiate()
    const signal = AbortSignal.timeout(LOGIN_MS)
    return (await this.#exchanges.onFresh((send) => send([query], version, signal))).some(refusesLogin)
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
      const [outcome] = await this.#exchanges.onFresh(async (send) => {
        const outcomes = await send([discoverVersions(kmipVersions)], '1.2', signal)
        await nextTurn()
        this.#connections.closeSilent(began)
        return outcomes
      })
      if (outcome?.ok === false) throw refusesLogin(outcome) ? loginRefused(this.address) : outcome.refusal
      this.#login.accepted()
    } catch (error) {
      throw asUnreachable(error, this.address)
    }
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
