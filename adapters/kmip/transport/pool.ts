import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { Connection } from './connection.ts'

export interface PoolOptions {
  /** Opens a connection; `onClose` is to be called when it has ended. */
  readonly open: (onClose: () => void) => Promise<Connection>
  readonly max: number
  /** A small request that keeps an idle connection from being dropped. Must not reject. */
  readonly ping: (connection: Connection) => Promise<void>
}

/** Servers drop what is idle for 30 s or more, and PyKMIP complains in its log after 10. */
const PING_AFTER_MS = 7000
const CHECK_EVERY_MS = 2000
/** So many stay open, however long nobody asks for anything; the others close after a while. */
const KEPT_WARM = 2
const CLOSE_AFTER_MS = 120_000

interface Waiter {
  readonly resolve: (connection: Connection) => void
  readonly reject: (error: unknown) => void
}

/** Connections to one server. Each serves one caller at a time; the one that was used last is used next. */
export class Pool {
  readonly #options: PoolOptions
  readonly #idle: Connection[] = []
  readonly #waiters = new Set<Waiter>()
  /** Open or being opened. */
  #count = 0
  #opening = 0
  #closed = false
  readonly #timer: NodeJS.Timeout
  readonly #connections = new Set<Connection>()
  /** When each idle connection last did real work, so that pings do not keep it for ever. */
  readonly #worked = new WeakMap<Connection, number>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tend(), CHECK_EVERY_MS)
    this.#timer.unref()
  }

  /** Connections that are open or being opened. */
  get size(): number {
    return this.#count
  }

  /**
   * Lends a connection to `work`. Rejects with the signal's reason while waiting for one, with the error of opening one if
   * there is none at all, and with `CLOSED`.
   */
  async use<T>(signal: CallSignal, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.#acquire(signal)
    this.#worked.set(connection, performance.now())
    try {
      return await work(connection)
    } finally {
      this.#release(connection)
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const waiter of [...this.#waiters]) waiter.reject(closed())
    for (const connection of [...this.#connections]) connection.close()
  }

  #acquire(signal: CallSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(closed())
        return
      }
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      const idle = this.#takeIdle()
      if (idle !== undefined) {
        resolve(idle)
        return
      }
      const forget = () => {
        signal.removeEventListener('abort', onAbort)
        this.#waiters.delete(waiter)
      }
      const waiter: Waiter = {
        resolve: (connection) => {
          forget()
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
    while (!this.#closed && this.#count < this.#options.max && this.#opening < this.#waiters.size) {
      this.#count += 1
      this.#opening += 1
      let opened: Connection | undefined
      const onClose = () => {
        this.#count -= 1
        if (opened !== undefined) this.#forget(opened)
      }
      void this.#options.open(onClose).then(
        (connection) => {
          this.#opening -= 1
          opened = connection
          this.#connections.add(connection)
          if (!connection.isOpen) this.#forget(connection)
          else if (this.#closed) connection.close()
          else this.#release(connection)
        },
        (error: unknown) => {
          this.#opening -= 1
          this.#count -= 1
          // Somebody else's connection may still come free for those who wait.
          if (this.#count === 0) for (const waiter of [...this.#waiters]) waiter.reject(error)
        },
      )
    }
  }

  #release(connection: Connection): void {
    if (!connection.isOpen) {
      this.#openForWaiters()
      return
    }
    const [waiter] = this.#waiters
    if (waiter !== undefined) {
      waiter.resolve(connection)
      return
    }
    connection.keepsAlive = false
    this.#idle.push(connection)
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
      if (this.#count > KEPT_WARM && now - (this.#worked.get(connection) ?? 0) > CLOSE_AFTER_MS) {
        connection.close()
        continue
      }
      this.#idle.splice(this.#idle.indexOf(connection), 1)
      void this.#options.ping(connection).finally(() => this.#release(connection))
    }
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
