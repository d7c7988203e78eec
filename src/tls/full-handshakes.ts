/** How long a network is asked at most: as long as a session may be resumed. */
const ASKED_MS = 3_600_000
/** Bounds on what strangers can make the gateway remember. Beyond them the oldest is forgotten. */
const MAX_NETWORKS = 1000
const MAX_CLIENTS = 8

/** Who was refused on a resumed session, as far as its certificate says. */
export interface RefusedClient {
  /** SHA-256 of the certificate, hexadecimal; empty if it had none. */
  readonly fingerprint: string
  readonly name: string | undefined
}

interface Asked extends RefusedClient {
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
  readonly #asked = new Map<string, readonly Asked[]>()

  /** Returns whether it was not asked already. */
  ask(network: string, client: RefusedClient, now: number): boolean {
    const others = this.#current(network, now).filter(({ fingerprint }) => fingerprint !== client.fingerprint)
    const isNew = others.length === this.#current(network, now).length
    this.#set(network, [...others, { ...client, at: now }].slice(-MAX_CLIENTS))
    const [oldest] = this.#asked.keys()
    if (this.#asked.size > MAX_NETWORKS && oldest !== undefined) this.#asked.delete(oldest)
    return isNew
  }

  isAsked(network: string, now: number): boolean {
    return this.#asked.size > 0 && this.#current(network, now).length > 0
  }

  /**
   * A client has done one: with the certificate that was refused, or with another for the same name that is allowed. Whoever
   * is not allowed may say any name.
   */
  done(network: string, client: RefusedClient, isAllowed: boolean): void {
    const asked = this.#asked.get(network)
    if (asked === undefined) return
    const isDone = ({ fingerprint, name }: Asked) =>
      (fingerprint !== '' && fingerprint === client.fingerprint) ||
      (isAllowed && (name === undefined || name === client.name))
    this.#set(
      network,
      asked.filter((refused) => !isDone(refused)),
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
