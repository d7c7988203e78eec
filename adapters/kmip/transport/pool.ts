import { abortable, AdapterError, type CallSignal } from '../../contract/index.ts'
import type { Connection } from './connection.ts'

export interface PoolOptions {
  readonly open: () => Promise<Connection>
  readonly max: number
  /** A small request, which keeps an idle connection from being dropped. Rejects if it is not answered. */
  readonly ping: (connection: Connection) => Promise<void>
}

/** Servers drop what is idle for 30 s or more, and PyKMIP complains in its log after 10. */
const PING_AFTER_MS = 7000
const CHECK_EVERY_MS = 2000
/** So many stay open, however long nobody asks for anything; the others close after a while. */
const KEPT_WARM = 2
const CLOSE_AFTER_MS = 120_000
/** How many times the connections that are free one object may hold, so that a key that is slow leaves some to others. */
const OBJECT_PER_FREE = 2

interface Waiter {
  readonly object: string | undefined
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** Connections to one server. Each serves one caller at a time; the one that was used last is used next. */
export class Pool {
  readonly #options: PoolOptions
  readonly #idle: Connection[] = []
  /** Nobody gets one of these before it has answered. */
  readonly #pinged = new Set<Connection>()
  readonly #waiters = new Set<Waiter>()
  readonly #connections = new Set<Connection>()
  /** How many are lent for what is done with each object. */
  readonly #lentFor = new Map<string, number>()
  /** Being opened for waiters. */
  #opening = 0
  /** Being opened by {@link openFresh}. */
  #openingFresh = 0
  #closed = false
  readonly #timer: NodeJS.Timeout
  /** When each idle connection last did real work, so that pings do not keep it for ever. */
  readonly #worked = new WeakMap<Connection, number>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tend(), CHECK_EVERY_MS)
    this.#timer.unref()
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.#connections.size + this.#opening + this.#openingFresh
  }

  /**
   * Lends a connection to `work`. Rejects with the signal's reason while waiting for one, with the error of opening one if
   * there is none at all, and with `CLOSED`.
   *
   * @param object what is used, if it is to leave connections to what uses others
   */
  async use<T>(signal: CallSignal, work: (connection: Connection) => Promise<T>, object?: string): Promise<T> {
    const connection = await this.#acquire(signal, object)
    this.#worked.set(connection, performance.now())
    try {
      return await work(connection)
    } finally {
      this.#count(object, -1)
      this.#release(connection)
    }
  }

  /**
   * Opens a connection that nobody has used, for a moment even where there are as many as may be: whether the server can be
   * reached shows on no other. The caller gives it back.
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

  /** What {@link openFresh} opened stays where there is room for it. */
  giveBack(connection: Connection): void {
    if (this.size > this.#options.max) connection.close()
    this.#release(connection)
  }

  /** Asks on every idle connection whether it still leads anywhere; resolves when each has answered or is closed. */
  pingIdle(): Promise<unknown> {
    return Promise.all([...this.#idle].map((connection) => this.#ping(connection)))
  }

  /**
   * Gives up idle connections that do not answer. Where there are any, requests on other connections, sent before `time`,
   * are taken to be lost on the way too.
   */
  closeSilent(time: number): void {
    if (this.#pinged.size === 0) return
    for (const connection of [...this.#connections]) {
      if (this.#pinged.has(connection) || (connection.waitingSince ?? time) < time) connection.close()
    }
  }

  /** Gives up what nobody is using. */
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

  /** The last that is open is for others as long as another can be opened. */
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

  /** A connection belongs to no particular caller: one that gives up while it is being made leaves it to the next. */
  #openForWaiters(): void {
    while (!this.#closed && this.size < this.#options.max && this.#opening < this.#waiters.size) {
      this.#opening += 1
      void this.#options
        .open()
        .finally(() => (this.#opening -= 1))
        .then((connection) => this.#release(this.#admit(connection)))
        // Those who wait are told.
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
    // Somebody else's connection may still come free for those who wait.
    if (this.size === 0) for (const waiter of [...this.#waiters]) waiter.reject(error)
    throw error
  }

  #release(connection: Connection): void {
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
    for (const connection of [...this.#idle]) {
      if (now - connection.lastUsed < PING_AFTER_MS) continue
      const worked = this.#worked.get(connection) ?? 0
      if (this.size > KEPT_WARM && now - worked > CLOSE_AFTER_MS) connection.close()
      else void this.#ping(connection)
    }
  }

  async #ping(connection: Connection): Promise<void> {
    this.#idle.splice(this.#idle.indexOf(connection), 1)
    this.#pinged.add(connection)
    await this.#options.ping(connection).catch(() => connection.close())
    this.#pinged.delete(connection)
    this.#release(connection)
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
