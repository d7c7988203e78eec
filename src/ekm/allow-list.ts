/** One entry of an allow-list: any of these names, together with the CAs that the entry trusts. */
export interface AllowedClients {
  readonly commonNames: readonly string[]
}

/** A client whose certificate is trusted by at least one entry. */
export interface VerifiedClient {
  /** The subject's only common name. Undefined if it has none, or several. */
  readonly commonName: string | undefined
  /** The entries that trust the certificate, of any pool. */
  readonly entries: ReadonlySet<AllowedClients>
  /** Why each of the other entries does not trust it. Without those that do not know its issuer. */
  readonly refusals: ReadonlyMap<AllowedClients, string>
}

/** Whether an entry that trusts the client's certificate also names the client. Some pool then allows it. */
export function isNamed({ commonName, entries }: VerifiedClient): boolean {
  if (commonName === undefined) return false
  for (const { commonNames } of entries) if (commonNames.includes(commonName)) return true
  return false
}

/** Who may use a pool: a client that an entry of the pool names *and* whose certificate the same entry trusts. */
export class AllowList {
  readonly #entriesByName = new Map<string, AllowedClients[]>()

  constructor(entries: readonly AllowedClients[]) {
    for (const entry of entries) {
      for (const name of entry.commonNames) {
        this.#entriesByName.set(name, [...(this.#entriesByName.get(name) ?? []), entry])
      }
    }
  }

  /** Whether some entry has this common name. */
  names(commonName: string): boolean {
    return this.#entriesByName.has(commonName)
  }

  allows({ commonName, entries }: VerifiedClient): boolean {
    return this.#naming(commonName).some((entry) => entries.has(entry))
  }

  /** Why an entry that names the client does not trust its certificate. Undefined if none knows the certificate's issuer. */
  refusalOf({ commonName, refusals }: VerifiedClient): string | undefined {
    const known = this.#naming(commonName).map((entry) => refusals.get(entry))
    return known.find((refusal) => refusal !== undefined)
  }

  #naming(commonName: string | undefined): readonly AllowedClients[] {
    return (commonName === undefined ? undefined : this.#entriesByName.get(commonName)) ?? []
  }
}
