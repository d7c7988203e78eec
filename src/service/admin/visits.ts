import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { networkOf } from '../../tls/network.ts'

/** The most connections at a time. One takes a few kilobytes. */
const MAX_CONNECTIONS = 256
/** Milliseconds for which an answer keeps its connection's place. */
const ANSWER_MS = 2000

/** The connections from one network. */
interface Network {
  readonly name: string
  size: number
}

interface Visit {
  readonly socket: Socket
  readonly network: Network
  /** When a request last began or ended, on `performance.now()`'s clock. */
  since: number
  /** The number of requests that are being answered. */
  answering: number
}

/**
 * Bounds a port's connections. At the bound, a new connection takes the place of an idle one: in the network with the
 * most connections, the one that has been idle longest. A connection without a complete header is idle, however slowly
 * its bytes arrive.
 */
export class Visits {
  readonly #visits = new Map<Socket, Visit>()
  readonly #networks = new Map<string, Network>()

  admit(socket: Socket): void {
    if (this.#visits.size >= MAX_CONNECTIONS) {
      const idle = this.#leastWanted()
      if (idle === undefined) return void socket.destroy()
      idle.socket.destroy()
      this.#forget(idle)
    }
    const name = networkOf(socket.remoteAddress ?? '')
    const network = this.#networks.get(name) ?? { name, size: 0 }
    const visit: Visit = { socket, network, since: performance.now(), answering: 0 }
    network.size += 1
    this.#networks.set(name, network)
    this.#visits.set(socket, visit)
    socket.on('close', () => this.#forget(visit))
  }

  answering(socket: Socket, outgoing: ServerResponse): void {
    const visit = this.#visits.get(socket)
    if (visit === undefined) return
    if (visit.answering === 0) visit.since = performance.now()
    visit.answering += 1
    outgoing.on('close', () => {
      visit.answering -= 1
      visit.since = performance.now()
    })
  }

  #leastWanted(): Visit | undefined {
    const answeringSince = performance.now() - ANSWER_MS
    let least: Visit | undefined
    for (const visit of this.#visits.values()) {
      if (visit.answering > 0 && visit.since > answeringSince) continue
      if (least === undefined || isLessWanted(visit, least)) least = visit
    }
    return least
  }

  #forget({ socket, network }: Visit): void {
    if (!this.#visits.delete(socket)) return
    network.size -= 1
    if (network.size === 0) this.#networks.delete(network.name)
  }
}

const isLessWanted = (one: Visit, other: Visit): boolean =>
  one.network.size === other.network.size ? one.since < other.since : one.network.size > other.network.size
