/** How long after its last refusal an address is asked for full handshakes: longer than clients wait before they come back. */
const ASKED_MS = 300_000
/** A bound on what strangers can make the gateway remember. Beyond it the oldest is forgotten. */
const MAX_ADDRESSES = 1000

/**
 * The addresses of clients that were refused on a resumed session: such a session says who the client was, and a client
 * with a new certificate may hold it for long. So connections from there have to begin with a full handshake for a while.
 * It costs those clients a handshake each, and nobody else.
 */
export class FullHandshakes {
  /** When each was marked, on `performance.now()`'s clock; the oldest first. */
  readonly #marked = new Map<string, number>()

  /** Whether it is new. */
  ask(network: string, now: number): boolean {
    const isNew = !this.isAsked(network, now)
    this.#marked.delete(network)
    this.#marked.set(network, now)
    const [oldest] = this.#marked.keys()
    if (this.#marked.size > MAX_ADDRESSES && oldest !== undefined) this.#marked.delete(oldest)
    return isNew
  }

  isAsked(network: string, now: number): boolean {
    if (this.#marked.size === 0) return false
    const marked = this.#marked.get(network)
    if (marked === undefined) return false
    if (now - marked < ASKED_MS) return true
    this.#marked.delete(network)
    return false
  }
}
