import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import type { Connection } from './connection.ts'
import { pingAll, type PingAnswer } from './pings.ts'

export interface ConnectionsOptions {
  readonly open: () => Promise<Connection>
  readonly max: number
  /** Whether each request is a login. A server may lock the account after a few that it refuses. */
  readonly areLogins: boolean
  /** Sends a small request, which keeps the server from closing an idle connection. Rejects if it is not answered. */
  readonly ping: (connection: Connection) => Promise<PingAnswer>
}

/** Milliseconds. Servers close connections that are idle for 30 s or more, and PyKMIP logs a complaint after 10 s. */
const PING_AFTER_MS = 7000
const CHECK_EVERY_MS = 2000
/** How many connections stay open without requests. The others close after a while. */
const KEPT_WARM = 2
const CLOSE_AFTER_MS = 120_000
/**
 * One object may hold at most this many times the number of free connections, so that a slow key leaves some to others.
 */
const OBJECT_PER_FREE = 2

interface Waiter {
  readonly object: string | undefined
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** The connections to one server. Each serves one caller at a time. The most recently used is used next. */
export class Connections {
  readonly #options: ConnectionsOptions
  readonly #idle: Connection[] = []
  /** Connections that must answer a ping before anyone gets them. */
  readonly #pinged = new Set<Connection>()
  readonly #waiters = new Set<Waiter>()
  readonly #connections = new Set<Connection>()
  /** The number of connections in use for each object. */
  readonly #lentFor = new Map<string, number>()
  /** The number of connections being opened for waiting callers. */
  #opening = 0
  /** The number of connections being opened by {@link openFresh}. */
  #openingFresh = 0
  #closed = false
  readonly #timer: NodeJS.Timeout
  /** When each idle connection last did real work, so that pings do not keep it open for ever. */
  readonly #worked = new WeakMap<Connection, number>()

  constructor(options: ConnectionsOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tend(), CHECK_EVERY_MS)
    this.#timer.unref()
  }

  /** The number of connections that are open or being opened. */
  get size(): number {
    return this.#connections.size + this.#opening + this.#openingFresh
  }

  /** Whether one more connection may wait for a late reply. At least half of the connections stay available. */
  get mayBeLate(): boolean {
    const late = [...this.#connections].filter(({ isLate }) => isLate).length
    return 2 * (late + 1) <= this.#options.max
  }

  /**
   * Lends a connection to `work`.
   *
   * @param object the object that `work` uses; it then leaves connections to callers who use others
   * @throws the signal's reason while waiting; the error of opening, if there is no connection at all; `CLOSED`
   */
  async use<T>(signal: CallSignal, work: (connection: Connection) => Promise<T>, object?: string): Promise<T> {
    const connection = await this.#acquire(signal, object)
    this.#worked.set(connection, performance.now())
    try {
      return await work(connection)
    } finally {
      this.#release(connection, object)
    }
  }

  /**
   * Opens a connection that nobody has used; only such a connection shows whether the server can be reached. For a
   * moment this may exceed the limit. The caller returns it with {@link giveBack}.
   */
  async openFresh(signal: CallSignal): Promise<Connection> {
    this.#openingFresh += 1
    const opened = this.#options
      .open()
      .finally(() => (this.#openingFresh -= 1))
      .then(
        (connection) => this.#admit(connection),
        (error: unknown) => this.#failed(error),
      )
    return abortable(opened, signal, (late) => this.giveBack(late))
  }

  /** Keeps a connection of {@link openFresh} if there is room for it. */
  giveBack(connection: Connection): void {
    if (this.size > this.#options.max) connection.close()
    this.#release(connection)
  }

  /**
   * Pings every idle connection, and lends none until it has answered. Resolves when each has answered or is closed, or
   * the first has shown that the login is refused.
   *
   * @param accepted resolves if the server accepts the login elsewhere
   */
  async pingIdle(accepted: Promise<void>): Promise<PingAnswer> {
    const idle = this.#idle.splice(0).reverse()
    for (const connection of idle) this.#pinged.add(connection)
    const answer = await pingAll(idle, (connection) => this.#ping(connection), this.#options.areLogins, accepted)
    if (answer === 'login refused') for (const connection of idle.slice(1)) this.#takeBack(connection)
    return answer
  }

  /**
   * Closes idle connections that do not answer a ping. If there are any, requests on other connections that were sent
   * before `time` count as lost, too.
   */
  closeSilent(time: number): void {
    if (this.#pinged.size === 0) return
    for (const connection of [...this.#connections]) {
      const { waitingSince } = connection
      if (waitingSince === undefined) continue
      if (this.#pinged.has(connection) || waitingSince < time) connection.close()
    }
  }

  /** Closes the connections that nobody is using. */
  reset(): void {
    for (const connection of [...this.#idle, ...this.#pinged]) connection.close()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const waiter of [...this.#waiters]) waiter.reject(closed())
    for (const connection of [...this.#connections]) connection.close()
  }

  #count(object: string | undefined, change: 1 | -1): void {
    if (object === undefined) return
    const count = (this.#lentFor.get(object) ?? 0) + change
    if (count === 0) this.#lentFor.delete(object)
    else this.#lentFor.set(object, count)
  }

  /** The last free connection is left to other objects, unless another can be opened. */
  #mayHave(object: string | undefined): boolean {
    const held = object === undefined ? 0 : (this.#lentFor.get(object) ?? 0)
    const idle = this.#idle.length
    return held === 0 || (held <= OBJECT_PER_FREE * idle && (idle > 1 || this.#connections.size === this.#options.max))
  }

  #acquire(signal: CallSignal, object: string | undefined): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(closed())
        return
      }
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const idle = this.#mayHave(object) ? this.#takeIdle() : undefined
      if (idle !== undefined) {
        this.#count(object, 1)
        resolve(idle)
        return
      }
      const forget = () => {
        signal.removeEventListener('abort', onAbort)
        this.#waiters.delete(waiter)
      }
      const waiter: Waiter = {
        object,
        resolve: (connection) => {
          forget()
          this.#count(object, 1)
          resolve(connection)
        },
        reject: (error) => {
          forget()
          reject(error)
        },
      }
      const onAbort = () => waiter.reject(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
      this.#openForWaiters()
    })
  }

  #takeIdle(): Connection | undefined {
    const connection = this.#idle.pop()
    if (connection !== undefined) connection.keepsAlive = true
    return connection
  }

  /**
   * A connection belongs to no particular caller. If its caller gives up while it is being opened, the next one gets
   * it.
   */
  #openForWaiters(): void {
    while (!this.#closed && this.size < this.#options.max && this.#opening < this.#waiters.size) {
      this.#opening += 1
      void this.#options
        .open()
        .finally(() => (this.#opening -= 1))
        .then((connection) => this.#release(this.#admit(connection)))
        // Waiting callers get the error.
        .catch((error: unknown) => this.#failed(error))
        .catch(() => undefined)
    }
  }

  #admit(connection: Connection): Connection {
    if (this.#closed) {
      connection.close()
      throw closed()
    }
    if (connection.isOpen) {
      this.#connections.add(connection)
      connection.onClose = () => this.#forget(connection)
    }
    return connection
  }

  #failed(error: unknown): never {
    // Another caller's connection may still become free for the waiting callers.
    if (this.size === 0) for (const waiter of [...this.#waiters]) waiter.reject(error)
    throw error
  }

  /** Takes a connection back as soon as it is free. */
  #release(connection: Connection, object?: string): void {
    if (!connection.isFree) {
      connection.onFree = () => this.#release(connection, object)
      return
    }
    this.#count(object, -1)
    if (connection.isOpen) {
      connection.keepsAlive = false
      this.#idle.push(connection)
    }
    for (const waiter of this.#waiters) {
      const idle = this.#mayHave(waiter.object) ? this.#takeIdle() : undefined
      if (idle !== undefined) waiter.resolve(idle)
    }
    this.#openForWaiters()
  }

  #forget(connection: Connection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#openForWaiters()
  }

  #tend(): void {
    const now = performance.now()
    const due: Connection[] = []
    for (const connection of [...this.#idle]) {
      if (now - connection.lastUsed < PING_AFTER_MS) continue
      const worked = this.#worked.get(connection) ?? 0
      if (this.size > KEPT_WARM && now - worked > CLOSE_AFTER_MS) connection.close()
      else due.push(connection)
    }
    const pingIfIdle = async (connection: Connection) => {
      const at = this.#idle.indexOf(connection)
      if (at < 0) return undefined
      this.#idle.splice(at, 1)
      this.#pinged.add(connection)
      return this.#ping(connection)
    }
    void pingAll(due, pingIfIdle, this.#options.areLogins)
  }

  async #ping(connection: Connection): Promise<PingAnswer | undefined> {
    const answer = await this.#options.ping(connection).catch(() => undefined)
    if (answer === undefined) connection.close()
    this.#takeBack(connection)
    return answer
  }

  #takeBack(connection: Connection): void {
    this.#pinged.delete(connection)
    this.#release(connection)
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
