/** A client whose certificate the TLS layer verified. */
export interface VerifiedClient {
  /** The subject's one common name; absent if it has none, or several. */
  readonly commonName: string | undefined
  /** SHA-256 fingerprints of the roots that the certificate chains to, in Node.js's spelling. */
  readonly roots: ReadonlySet<string>
}

/** One entry of an allow-list: any of these names together with any of these roots. */
export interface AllowedClients {
  readonly commonNames: readonly string[]
  readonly roots: readonly { readonly fingerprint256: string }[]
}

/** Who may use a pool: pairs of a subject common name and a root CA, because several pools share one listener's trust. */
export class AllowList {
  readonly #rootsByName = new Map<string, Set<string>>()

  constructor(entries: readonly AllowedClients[]) {
    for (const { commonNames, roots } of entries) {
      for (const name of commonNames) {
        const allowed = this.#rootsByName.get(name) ?? new Set()
        for (const root of roots) allowed.add(root.fingerprint256)
        this.#rootsByName.set(name, allowed)
      }
    }
  }

  allows({ commonName, roots }: VerifiedClient): boolean {
    const allowed = commonName === undefined ? undefined : this.#rootsByName.get(commonName)
    if (allowed === undefined) return false
    for (const root of roots) if (allowed.has(root)) return true
    return false
  }
}
