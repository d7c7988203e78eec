import { makeTarget, type HttpConnection, type Target } from '../bench/http-connection.ts'
import { isRight, type Call } from '../bench/request.ts'
import type { Pki } from './pki.ts'

/** A gateway on this machine, as its client sees it. */
export const targetOf = (port: number, { client, serverCa }: Pki): Target =>
  makeTarget(port, { ca: serverCa.certificate, cert: client.certificate, key: client.key })

/** A request and its answer, on the clock of `performance.now()`. */
export interface Exchange {
  readonly sent: number
  readonly ended: number
  /** 0 where there is no answer. */
  readonly status: number
}

/** A request that had another answer than its one right one. */
export interface Failure extends Exchange {
  /** The status and the body, or why there is no answer. */
  readonly what: string
}

const TICK_MS = 5

/**
 * Requests in turn, each due at its time whether or not those before it are answered, over connections in turn that are
 * kept alive. A connection that is lost is a failure and not replaced.
 */
export class SteadyStream {
  readonly failures: Failure[] = []
  /** All that have ended, the failures among them. */
  readonly exchanges: Exchange[] = []
  sent = 0
  readonly #calls: readonly Call[]
  readonly #rate: number
  readonly #start = performance.now()
  readonly #timer: NodeJS.Timeout
  #free: HttpConnection[]
  readonly #underWay = new Set<Promise<void>>()

  constructor(connections: readonly HttpConnection[], calls: readonly Call[], ratePerSecond: number) {
    this.#free = [...connections]
    for (const connection of connections) this.#watch(connection)
    this.#calls = calls
    this.#rate = ratePerSecond
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS)
  }

  get right(): number {
    return this.exchanges.length - this.failures.length
  }

  /** Resolves when everything that was sent has its answer. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
  }

  #sendDue(): void {
    while (this.#start + (this.sent * 1000) / this.#rate <= performance.now()) {
      const call = this.#calls[this.sent % this.#calls.length]
      const connection = this.#free.shift()
      if (call === undefined || connection === undefined) return
      this.sent += 1
      const exchange = this.#exchange(connection, call).finally(() => this.#underWay.delete(exchange))
      this.#underWay.add(exchange)
    }
  }

  /** Over a connection on which nothing is asked. */
  #watch(connection: HttpConnection): void {
    connection.onLost(({ message }) => {
      const now = performance.now()
      this.#end(now, 0, `${message}, while nothing was asked`)
      this.#free = this.#free.filter((other) => other !== connection)
    })
  }

  async #exchange(connection: HttpConnection, call: Call): Promise<void> {
    const sent = performance.now()
    try {
      const reply = await connection.exchange(call.request)
      const { status, body } = reply
      this.#end(sent, status, isRight(call, reply) ? undefined : `${status} ${body}`)
      this.#watch(connection)
      this.#free.push(connection)
    } catch (error) {
      this.#end(sent, 0, error instanceof Error ? error.message : String(error))
    }
  }

  #end(sent: number, status: number, what: string | undefined): void {
    const exchange = { sent, ended: performance.now(), status }
    this.exchanges.push(exchange)
    if (what !== undefined) this.failures.push({ ...exchange, what })
  }
}
