import { makeTarget, type HttpConnection, type Reply, type Target } from '../bench/http-connection.ts'
import { isRight, type Call } from '../bench/request.ts'
import type { Pki } from './pki.ts'

/** The address of a gateway on this machine, as a client sees it. */
export const targetOf = (port: number, { client, serverCa }: Pki): Target =>
  makeTarget(port, { ca: serverCa.certificate, cert: client.certificate, key: client.key })

/** A request and its answer, on the clock of `performance.now()`. */
export interface Exchange {
  readonly sent: number
  readonly ended: number
  /** 0 if there is no answer. */
  readonly status: number
}

/** A request that did not get its one right answer. */
export interface Failure extends Exchange {
  /** The status and the body, or the reason why there is no answer. */
  readonly what: string
}

const TICK_MS = 5

/** The source of a stream's connections. */
export interface Connections {
  /** Returns an idle connection. If there is none, the request waits. */
  take(): HttpConnection | Promise<HttpConnection> | undefined
  /** Takes back a connection that has answered. */
  give(connection: HttpConnection, reply: Reply): void
  /** Called for a taken connection that is lost, or could not be opened. */
  lose?(): void
}

/** Kept-alive connections in turn. A lost one is not replaced. */
class FixedConnections implements Connections {
  #free: HttpConnection[]
  readonly #onLost: (error: Error) => void

  /** @param onLost is called for a connection that is lost while it is idle */
  constructor(connections: readonly HttpConnection[], onLost: (error: Error) => void) {
    this.#free = [...connections]
    this.#onLost = onLost
    for (const connection of connections) this.#watch(connection)
  }

  take(): HttpConnection | undefined {
    return this.#free.shift()
  }

  give(connection: HttpConnection): void {
    this.#watch(connection)
    this.#free.push(connection)
  }

  #watch(connection: HttpConnection): void {
    connection.onLost((error) => {
      this.#onLost(error)
      this.#free = this.#free.filter((other) => other !== connection)
    })
  }
}

/**
 * Requests in turn, each due at its time whether or not earlier ones are answered. If the connections are a list, a
 * lost one counts as a failure.
 */
export class SteadyStream {
  readonly failures: Failure[] = []
  /** All finished requests, including failures. */
  readonly exchanges: Exchange[] = []
  sent = 0
  readonly #calls: readonly Call[]
  readonly #rate: number
  readonly #start = performance.now()
  readonly #timer: NodeJS.Timeout
  readonly #connections: Connections
  readonly #underWay = new Set<Promise<void>>()

  constructor(connections: readonly HttpConnection[] | Connections, calls: readonly Call[], ratePerSecond: number) {
    const onLost = ({ message }: Error) => this.#end(performance.now(), 0, `${message}, while nothing was asked`)
    this.#connections = 'take' in connections ? connections : new FixedConnections(connections, onLost)
    this.#calls = calls
    this.#rate = ratePerSecond
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS)
  }

  get right(): number {
    return this.exchanges.length - this.failures.length
  }

  /** Resolves when every request sent has its answer. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
  }

  #sendDue(): void {
    while (this.#start + (this.sent * 1000) / this.#rate <= performance.now()) {
      const call = this.#calls[this.sent % this.#calls.length]
      const connection = this.#connections.take()
      if (call === undefined || connection === undefined) return
      this.sent += 1
      const exchange = this.#exchange(connection, call).finally(() => this.#underWay.delete(exchange))
      this.#underWay.add(exchange)
    }
  }

  async #exchange(taken: HttpConnection | Promise<HttpConnection>, call: Call): Promise<void> {
    const sent = performance.now()
    try {
      const connection = await taken
      const reply = await connection.exchange(call.request)
      const { status, body } = reply
      this.#end(sent, status, isRight(call, reply) ? undefined : `${status} ${body}`)
      this.#connections.give(connection, reply)
    } catch (error) {
      this.#connections.lose?.()
      this.#end(sent, 0, error instanceof Error ? error.message : String(error))
    }
  }

  #end(sent: number, status: number, what: string | undefined): void {
    const exchange = { sent, ended: performance.now(), status }
    this.exchanges.push(exchange)
    if (what !== undefined) this.failures.push({ ...exchange, what })
  }
}
