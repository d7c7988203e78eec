import type { AllowList, VerifiedClient } from '../ekm/allow-list.ts'

const DAY_MS = 24 * 3_600_000

/** A pool, as far as its allow-list is concerned. */
interface Allowing {
  readonly name: string
  readonly clients: Pick<AllowList, 'allows' | 'names'>
}

/**
 * The expiry of the certificate that each client showed last, because Microsoft renews its own. One is remembered for
 * each pool and each name of the pool's allow-list, so the configuration bounds their number.
 */
export class ClientCertificates {
  /** Milliseconds since the epoch, by pool and by common name. */
  readonly #ends = new Map<string, Map<string, number>>()

  /** @param end expiry of its certificate, in milliseconds since the epoch */
  seen(client: VerifiedClient, end: number, pools: readonly Allowing[]): void {
    const { commonName } = client
    if (commonName === undefined) return
    for (const { name, clients } of pools) {
      if (!clients.allows(client)) continue
      const ends = this.#ends.get(name) ?? new Map<string, number>()
      this.#ends.set(name, ends.set(commonName, end))
    }
  }

  /** Forgets clients that the configuration no longer names. */
  follow(pools: readonly Allowing[]): void {
    for (const [name, ends] of this.#ends) {
      const pool = pools.find((candidate) => candidate.name === name)
      for (const client of ends.keys()) if (pool?.clients.names(client) !== true) ends.delete(client)
      if (ends.size === 0) this.#ends.delete(name)
    }
  }

  daysLeft(now: number): { readonly pool: string; readonly client: string; readonly days: number }[] {
    return [...this.#ends].flatMap(([pool, ends]) =>
      [...ends].map(([client, end]) => ({ pool, client, days: (end - now) / DAY_MS })),
    )
  }
}
