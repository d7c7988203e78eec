import { HttpConnection, type Reply, type Target } from '../../bench/http-connection.ts'
import type { Connections } from '../../support/steady-stream.ts'

/** More concurrent handshakes would be a flood, and not a client that has lost its connections. */
export const MAX_CONNECTIONS = 32

/**
 * A client that keeps connections alive, as Managed HSM does. A request takes an idle connection, or opens another, or
 * waits if there are too many. A connection is not used again once the server has ended it or announced its end.
 */
export class KeptAlive implements Connections {
  opened = 0
  /** Connections that could not be opened. */
  unopened = 0
  resumed = 0
  readonly #target: Target
  #idle: HttpConnection[] = []
  #session: Buffer | undefined
  #taken = 0

  constructor(target: Target) {
    this.#target = target
  }

  /** Opens connections beforehand, so that the first requests need no handshake. */
  async warm(count: number): Promise<void> {
    const opening = Array.from({ length: count }, () => this.#open())
    for (const connection of await Promise.all(opening)) this.#keep(connection)
  }

  take(): HttpConnection | Promise<HttpConnection> | undefined {
    if (this.#taken === MAX_CONNECTIONS) return undefined
    this.#taken += 1
    return this.#idle.shift() ?? this.#open()
  }

  give(connection: HttpConnection, { head }: Reply): void {
    this.#taken -= 1
    this.#session = connection.session ?? this.#session
    if (/^connection: close$/im.test(head)) connection.close()
    else this.#keep(connection)
  }

  lose(): void {
    this.#taken -= 1
  }

  close(): void {
    for (const connection of this.#idle) connection.close()
    this.#idle = []
  }

  async #open(): Promise<HttpConnection> {
    const connection = await HttpConnection.open(this.#target, { session: this.#session }).catch((error: unknown) => {
      this.unopened += 1
      throw error
    })
    this.opened += 1
    if (connection.resumed) this.resumed += 1
    return connection
  }

  #keep(connection: HttpConnection): void {
    connection.onLost(() => (this.#idle = this.#idle.filter((other) => other !== connection)))
    this.#idle.push(connection)
  }
}
