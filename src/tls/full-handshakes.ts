/** How long a network is asked at most: longer than clients wait before they come back. */
const ASKED_MS = 60_000
/** A bound on what strangers can make the gateway remember. Beyond it the oldest is forgotten. */
const MAX_NETWORKS = 1000

interface Asked {
  /** The refused client's common name, if it had one. */
  readonly name: string | undefined
  /** On `performance.now()`'s clock, in milliseconds. */
  readonly at: number
}

/**
 * The networks that are asked for full handshakes. A client that was refused on a resumed session may have a new
 * certificate by now, but the session repeats the old one. So connections from its network begin with a full handshake
 * until that client has done one. It costs the others there a handshake each, and nobody else anything.
 */
export class FullHandshakes {
  /** The oldest first. */
  readonly #asked = new Map<string, Asked>()

  /** Returns whether it was not asked already. */
  ask(network: string, name: string | undefined, now: number): boolean {
    const isNew = !this.isAsked(network, now)
    this.#asked.delete(network)
    this.#asked.set(network, { name, at: now })
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > MAX_NETWORKS && oldest !== undefined) this.#asked.delete(oldest)
    return isNew
  }

  isAsked(network: string, now: number): boolean {
    const asked = this.#asked.get(network)
    return asked !== undefined && now - asked.at < ASKED_MS
  }

  /** A client has done one. */
  done(network: string, name: string | undefined): void {
    const asked = this.#asked.get(network)
    if (asked !== undefined && (asked.name === undefined || asked.name === name)) this.#asked.delete(network)
  }
}
