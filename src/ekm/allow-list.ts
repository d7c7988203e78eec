/** One entry of an allow-list: any of these names, together with the CAs that the entry trusts. */
export interface AllowedClients {
  readonly commonNames: readonly string[]
}

/** A client whose certificate some entry's CAs vouch for. */
export interface VerifiedClient {
  /** The subject's one common name; absent if it has none, or several. */
  readonly commonName: string | undefined
  /** The entries whose CAs do, of whatever pool. */
  readonly entries: ReadonlySet<AllowedClients>
}

/** Whether the client is named by an entry that trusts its certificate: then some pool allows it. */
export const isNamed = ({ commonName, entries }: VerifiedClient): boolean =>
  commonName !== undefined && [...entries].some(({ commonNames }) => commonNames.includes(commonName))

/** Who may use a pool: a client that an entry of the pool names *and* whose certificate that same entry trusts. */
export class AllowList {
  readonly #entriesByName = new Map<string, AllowedClients[]>()

  constructor(entries: readonly AllowedClients[]) {
    for (const entry of entries) {
      for (const name of entry.commonNames) {
        this.#entriesByName.set(name, [...(this.#entriesByName.get(name) ?? []), entry])
      }
    }
  }

  allows({ commonName, entries }: VerifiedClient): boolean {
    const naming = commonName === undefined ? undefined : this.#entriesByName.get(commonName)
    return naming?.some((entry) => entries.has(entry)) ?? false
  }
}
