/** Milliseconds; as long as a session may be resumed. */
const ASKED_MS = 3_600_000
/** Bounds on what strangers can make the gateway remember. Beyond them the oldest is forgotten. */
const MAX_NETWORKS = 1000
const MAX_CLIENTS = 8

interface Asked {
  /** SHA-256 of the refused certificate in hexadecimal; empty if there was none. */
  readonly fingerprint: string
  /** Milliseconds on `performance.now()`'s clock. */
  readonly at: number
}

/**
 * The networks that must do full handshakes. A client that was refused on a resumed session may have a new certificate
 * by now, but each of its sessions repeats the old one. So connections from its network begin with a full handshake, or
 * with a session that is newer than the refusal, until no older session can be left. That costs the others of the
 * network one handshake each, and nobody else anything.
 */
export class FullHandshakes {
  /** The oldest first. */
  readonly #asked = new Map<string, readonly Asked[]>()

  /** @returns whether the network was not asked before */
  ask(network: string, fingerprint: string, now: number): boolean {
    const current = this.#current(network, now)
    const others = current.filter((asked) => asked.fingerprint !== fingerprint)
    this.#set(network, [...others, { fingerprint, at: now }].slice(-MAX_CLIENTS))
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > MAX_NETWORKS && oldest !== undefined) this.#asked.delete(oldest)
    return others.length === current.length
  }

  isAsked(network: string, now: number): boolean {
    return this.#asked.size > 0 && this.#current(network, now).length > 0
  }

  /** A client has done a full handshake with the refused certificate, so its sessions do not hide a newer one. */
  done(network: string, fingerprint: string): void {
    const asked = this.#asked.get(network)
    if (asked === undefined || fingerprint === '') return
    this.#set(
      network,
      asked.filter((refused) => refused.fingerprint !== fingerprint),
    )
  }

  #current(network: string, now: number): readonly Asked[] {
    return this.#asked.get(network)?.filter(({ at }) => now - at < ASKED_MS) ?? []
  }

  #set(network: string, asked: readonly Asked[]): void {
    this.#asked.delete(network)
    if (asked.length > 0) this.#asked.set(network, asked)
  }
}
