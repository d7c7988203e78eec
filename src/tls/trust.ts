import { createHash, type X509Certificate } from 'node:crypto'

/** More CA certificates than any PKI has issuing CAs in use; a bound on what clients can make the gateway remember. */
const MAX_LEARNED = 1000
const MAX_PATH_LENGTH = 8

/** What one entry of an allow-list trusts. */
export interface TrustedCas {
  readonly roots: readonly X509Certificate[]
  /** Issuing CAs, known beforehand. */
  readonly intermediates: readonly X509Certificate[]
}

/**
 * The certificates that client certificates are traced back to. OpenSSL verifies a chain against the roots of all entries
 * together. Where all entries trust the same roots, that is the answer. Where they differ, this tells which of the roots a
 * certificate leads to, also on a resumed session, where only the client's own certificate is left to look at: the issuing
 * CAs that clients once sent, and OpenSSL verified, are remembered for that.
 */
export class Trust {
  /** Every trusted certificate, for OpenSSL. */
  readonly ca: readonly string[]
  /**
   * Goes into the TLS session id context (at most 32 bytes): a session that began under other roots is not resumed, but
   * quietly replaced by a full handshake.
   */
  readonly sessionContext: string
  readonly #roots: ReadonlySet<string>
  readonly #uniform: boolean
  readonly #bySubject = new Map<string, X509Certificate[]>()
  readonly #known = new Set<string>()
  #learned = 0

  constructor(entries: readonly TrustedCas[]) {
    const rootSets = entries.map(({ roots }) => new Set(roots.map((root) => root.fingerprint256)))
    this.#roots = new Set(rootSets.flatMap((fingerprints) => [...fingerprints]))
    this.#uniform = rootSets.every(({ size }) => size === this.#roots.size)
    for (const { roots, intermediates } of entries) {
      for (const certificate of [...roots, ...intermediates]) this.#remember(certificate)
    }
    this.ca = [...this.#bySubject.values()].flat().map((certificate) => certificate.toString())
    const fingerprints = [...this.#roots].sort().join()
    this.sessionContext = createHash('sha256').update(fingerprints).digest('hex').slice(0, 32)
  }

  /**
   * The fingerprints of all roots that `leaf`, which OpenSSL has verified, leads to.
   *
   * @param sent what came with it at a full handshake; empty on a resumed session
   */
  rootsOf(leaf: X509Certificate, sent: readonly X509Certificate[], now = Date.now()): ReadonlySet<string> {
    if (this.#uniform) return this.#roots
    const found = new Set<string>()
    const climb = (certificate: X509Certificate, path: readonly X509Certificate[]) => {
      if (this.#roots.has(certificate.fingerprint256)) {
        found.add(certificate.fingerprint256)
        this.#learn(path)
        return
      }
      if (path.length === MAX_PATH_LENGTH) return
      const candidates = [...(this.#bySubject.get(certificate.issuer) ?? []), ...sent]
      for (const issuer of new Set(candidates)) {
        const isRoot = this.#roots.has(issuer.fingerprint256)
        if (path.includes(issuer) || !(isRoot || isAuthority(issuer, now))) continue
        if (issued(issuer, certificate)) climb(issuer, [...path, issuer])
      }
    }
    climb(leaf, [])
    return found
  }

  #learn(path: readonly X509Certificate[]): void {
    for (const certificate of path) {
      if (this.#known.has(certificate.fingerprint256) || this.#learned === MAX_LEARNED) continue
      this.#learned += 1
      this.#remember(certificate)
    }
  }

  #remember(certificate: X509Certificate): void {
    if (this.#known.has(certificate.fingerprint256)) return
    this.#known.add(certificate.fingerprint256)
    const namesakes = this.#bySubject.get(certificate.subject) ?? []
    this.#bySubject.set(certificate.subject, [...namesakes, certificate])
  }
}

const isAuthority = ({ ca, validFrom, validTo }: X509Certificate, now: number): boolean =>
  ca && Date.parse(validFrom) <= now && now <= Date.parse(validTo)

const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
