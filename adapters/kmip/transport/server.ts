import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import { TtlvError } from '../../ttlv-codec/src/index.ts'
import { connectionsOf, type KmipOptions, type KmipServerOptions } from '../options.ts'
import { discoverVersions } from '../protocol/discovery.ts'
import { encodeRequest, readResponse, type KmipCredentials } from '../protocol/message.ts'
import { ReplyMismatch, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import { kmipVersions, type KmipVersion } from '../protocol/version.ts'
import { areRepeatable, Batches } from './batches.ts'
import { ConnectFailed, Connection, ConnectionLost } from './connection.ts'
import { negotiate, type Negotiated, type Send } from './negotiation.ts'
import { Pool } from './pool.ts'
import { addressOf, tlsOptions } from './tls.ts'
import { isTlsCode, NO_ANSWER, ServerUnreachable } from './unreachable.ts'

const CONNECT_TIMEOUT_MS = 3000
const NEGOTIATION_TIMEOUT_MS = 5000
const PING_TIMEOUT_MS = 2000
/** Beyond a round trip: a request that is not answered for so long may be lost on the way. */
const QUIET_MS = 100
/** One that had less time than this, because its caller took the rest, says nothing. */
const SILENCE_MS = 50
/** A connection that leads anywhere answers a ping within this, or a fresh one is tried beside it. */
const HEAD_START_MS = 50
/** An attempt on a fresh connection that takes longer than this may be lost by itself: the next check makes another. */
const JOINED_MS = 500
/** At most as many as a pool can have dropped at once is not worth it: the next one is most probably new. */
const MAX_DROPPED = 2

type Lend = Pool['use']

const unavailable = (message: string) => new AdapterError('BACKEND_UNAVAILABLE', message)

/** One KMIP server: its connections, and what was agreed with it. */
export class KmipServer {
  readonly address: string
  readonly #credentials: KmipCredentials | undefined
  readonly #offered: readonly KmipVersion[]
  readonly #onDoubt: () => void
  readonly #pool: Pool
  #negotiated: Negotiated | Promise<Negotiated> | undefined
  readonly #batches = new Batches((operations, version, signal) => this.#send(operations, version, signal))
  #nextId = 1
  /** The last attempt on a fresh connection, while it is under way. */
  #fresh: { readonly began: number; readonly answered: Promise<void> } | undefined
  #heardAt = 0
  /** About the shortest of late: where all take longer, the way to the server has become longer, and it grows. */
  #roundTripMs: number | undefined
  /** Each is told once that the server did something that it was asked. */
  readonly #listeners = new Set<() => void>()

  /** @param onDoubt called when a request was not answered, and nothing else was either since it was sent */
  constructor(server: KmipServerOptions, options: KmipOptions, onDoubt: () => void) {
    const connect = tlsOptions(server, options)
    this.address = addressOf(server)
    this.#credentials = options.credentials
    this.#offered = options.protocol === undefined ? kmipVersions : [options.protocol]
    this.#onDoubt = onDoubt
    this.#pool = new Pool({
      open: () => Connection.open(connect, CONNECT_TIMEOUT_MS),
      max: connectionsOf(options),
      ping: (connection) => this.#ping(connection),
    })
  }

  /**
   * Asks the operations, as one message where the server takes that. Rejects with {@link ServerUnreachable} if nothing
   * could be sent, with the signal's reason, or with an AdapterError; a server that says no is an outcome.
   */
  async call(operations: readonly KmipOperation<unknown>[], signal: CallSignal): Promise<Outcome<unknown>[]> {
    const { version } = await abortable(this.negotiate(), signal)
    if (operations.length === 1) return this.#send(operations, version, signal)
    return this.#batches.ask(operations, version, signal)
  }

  /** Agrees on a version and asks what the server can do, once; after {@link forget} anew. What is known is given at once. */
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
   * Resolves if the server answers: on any connection that is open, or else on a fresh one. Connections that stay silent
   * while a fresh one is answered are closed. Rejects with {@link ServerUnreachable}, with KmipRefusal, or with the
   * signal's reason.
   */
  async check(signal: CallSignal): Promise<void> {
    if (!this.#isAgreed) {
      this.#negotiated = await this.#negotiate(signal)
      return
    }
    const began = performance.now()
    const answer = new Promise<void>((resolve) => this.#listeners.add(resolve))
    const pings = this.#pool.pingIdle()
    const headStart = later(HEAD_START_MS + (this.#roundTripMs ?? 0))
    await Promise.race([answer, pings, headStart])
    if (this.#heardAt >= began) return
    const fresh = this.#askSoon(began, signal)
    await Promise.race([answer, fresh])
  }

  /** What was agreed is not believed any more, and idle connections neither: the server may have been replaced. */
  forget(): void {
    this.#negotiated = undefined
    this.#batches.forget()
    this.#roundTripMs = undefined
    this.#pool.reset()
  }

  /** When it last did what it was asked, on `performance.now()`'s clock. */
  get heardAt(): number {
    return this.#heardAt
  }

  /** Connections that are open or being opened. */
  get connections(): number {
    return this.#pool.size
  }

  close(): void {
    this.#pool.close()
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

  /** Joins what another check has just begun; it goes on when nobody waits, for what it shows of other connections. */
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
        this.#pool.closeSilent(began)
        return outcomes
      })
      if (outcome?.ok === false) throw outcome.refusal
    } catch (error) {
      throw asUnreachable(error, this.address)
    }
  }

  /** Asks on a connection that is made for it, and leaves it to the pool. */
  async #onFresh<T>(work: (send: Send) => Promise<T>): Promise<T> {
    let connection: Connection | undefined
    const lend: Lend = async (signal, use) => {
      if (connection?.isOpen !== true) connection = await this.#pool.openFresh(signal)
      return use(connection)
    }
    try {
      return await work((operations, version, signal) => this.#send(operations, version, signal, lend))
    } finally {
      if (connection !== undefined) this.#pool.giveBack(connection)
    }
  }

  async #send(
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
    lend: Lend = this.#pool.use.bind(this.#pool),
  ): Promise<Outcome<unknown>[]> {
    for (let attempt = 1; ; attempt++) {
      let wasUsed = false
      try {
        return await lend(
          signal,
          (connection) => {
            wasUsed = connection.wasUsed
            return this.#exchange(connection, operations, version, signal)
          },
          operations[0]?.object,
        )
      } catch (error) {
        // An idle connection that the server dropped at this very moment. Several may have been dropped together.
        const mayTryAgain = wasUsed && areRepeatable(operations) && attempt <= 1 + MAX_DROPPED
        if (mayTryAgain && error instanceof ConnectionLost && !error.replyStarted) continue
        throw this.#failure(error, wasUsed)
      }
    }
  }

  #failure(error: unknown, wasUsed: boolean): unknown {
    if (error instanceof ConnectFailed) return new ServerUnreachable(error.code)
    // The server did not let this client in, and so it did not look at the request.
    if (error instanceof ConnectionLost && !wasUsed && error.code !== undefined && isTlsCode(error.code)) {
      return new ServerUnreachable(error.code)
    }
    if (error instanceof ConnectionLost) {
      this.#doubt()
      const hint = wasUsed ? '' : ', as servers do that do not accept a client certificate'
      return unavailable(`${this.address} closed the connection instead of answering${hint}`)
    }
    if (error instanceof TtlvError || error instanceof ReplyMismatch) {
      this.#doubt()
      return unavailable(`${this.address} answered with something else: ${error.message}`)
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
      frame = await connection.exchange(request, signal)
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

  /** While nothing is agreed, what fails is the negotiation, and that tells by itself. */
  #doubt(): void {
    if (this.#isAgreed) this.#onDoubt()
  }

  #doubtSince(sentAt: number): void {
    if (this.#heardAt < sentAt) this.#doubt()
  }

  async #ping(connection: Connection): Promise<void> {
    await this.#exchange(connection, [discoverVersions(kmipVersions)], '1.2', AbortSignal.timeout(PING_TIMEOUT_MS))
  }
}

/** Replies that came while this process was busy are read before the next turn: timers would fire first. */
const later = (ms: number): Promise<void> => sleep(ms).then(() => nextTurn())

/** What shows that the server cannot be used, whatever was asked of it. */
function asUnreachable(error: unknown, address: string): unknown {
  if (error instanceof AdapterError && error.code === 'BACKEND_UNAVAILABLE') {
    return new ServerUnreachable(NO_ANSWER, error.message)
  }
  if (error instanceof DOMException) return new ServerUnreachable(NO_ANSWER, `${address} did not answer in time`)
  return error
}

/** The value, or the refusal thrown. */
export function valueOf<Result>(outcome: Outcome<Result> | undefined): Result {
  if (outcome === undefined) throw new ReplyMismatch('no outcome')
  if (outcome.ok) return outcome.value
  throw outcome.refusal
}
