import { Queue } from '../base/queue.ts'
import type { Stranger } from './stranger.ts'

/** The connections of clients that some pool allows, by the client's identity. */
export class Clients {
  /** The connections of one identity, oldest first. */
  readonly #connections = new Map<string, Queue<Stranger>>()
  /** The identity whose last connection has gone. Like a network's in {@link Gate}, its entry stays for a while. */
  #deserted = ''
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
    if (connections === undefined) this.#connections.set(identity, (connections = new Queue()))
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
    if (connections?.size === 0) this.#desert(seat.identity)
  }

  #desert(identity: string): void {
    const before = this.#deserted
    if (before !== identity && this.#connections.get(before)?.size === 0) this.#connections.delete(before)
    this.#deserted = identity
  }

  /**
   * The connection that gives way to a further one of `identity`: in the identity with the most connections, the one
   * that was idle longest. Undefined if `identity` would then have as many as that one, because they would drive each
   * other out in turn.
   */
  whoGivesWay(identity: string): Stranger | undefined {
    const own = this.#connections.get(identity)?.size ?? 0
    let most: Queue<Stranger> | undefined
    for (const connections of this.#connections.values()) {
      if (connections.size > (most?.size ?? 0)) most = connections
    }
    if (most === undefined || most.size <= own || (own > 0 && most.size === own + 1)) return undefined
    return this.#longestIdle(most)
  }

  /** The longest idle connection; if none is idle, the oldest. */
  #longestIdle(connections: Queue<Stranger>): Stranger | undefined {
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
