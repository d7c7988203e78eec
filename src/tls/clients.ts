import { Line } from '../base/line.ts'
import type { Stranger } from './stranger.ts'

/** The connections of clients that some pool allows, by who the client is. */
export class Clients {
  /** Those of one identity, the oldest first. */
  readonly #connections = new Map<string, Line<Stranger>>()
  readonly #idleSince: (stranger: Stranger) => number | undefined
  #size = 0

  /** @param idleSince as in {@link GateOptions} */
  constructor(idleSince: (stranger: Stranger) => number | undefined) {
    this.#idleSince = idleSince
  }

  get size(): number {
    return this.#size
  }

  add(stranger: Stranger, identity: string): void {
    let connections = this.#connections.get(identity)
    if (connections === undefined) this.#connections.set(identity, (connections = new Line()))
    stranger.seat = { identity, place: connections.join(stranger), since: performance.now() }
    this.#size += 1
  }

  remove(stranger: Stranger): void {
    const { seat } = stranger
    if (seat === undefined) return
    stranger.seat = undefined
    this.#size -= 1
    const connections = this.#connections.get(seat.identity)
    connections?.leave(seat.place)
    if (connections?.size === 0) this.#connections.delete(seat.identity)
  }

  /**
   * The connection that gives way to a further one of `identity`: of the identity with most connections, the one that was
   * idle longest. Undefined if `identity` would have as many as that one then: they would drive each other out in turn.
   */
  whoGivesWay(identity: string): Stranger | undefined {
    const own = this.#connections.get(identity)?.size ?? 0
    let most: Line<Stranger> | undefined
    for (const connections of this.#connections.values()) {
      if (connections.size > (most?.size ?? 0)) most = connections
    }
    if (most === undefined || most.size <= own || (own > 0 && most.size === own + 1)) return undefined
    return this.#longestIdle(most)
  }

  /** Where none is idle, the oldest. */
  #longestIdle(connections: Line<Stranger>): Stranger | undefined {
    let found: Stranger | undefined
    let earliest = Infinity
    for (const stranger of connections.values()) {
      const since = this.#idleSince(stranger) ?? stranger.seat?.since ?? 0
      if (found !== undefined && since >= earliest) continue
      found = stranger
      earliest = since
    }
    return found
  }
}
