import type { Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import type { Path } from '../x509/search.ts'

/** From its first to its last moment, in milliseconds since the epoch. */
export interface Span {
  readonly from: number
  readonly until: number
}

/** What is true of a certificate for a while. */
export interface Opinion<Entry> extends Span {
  /** The entries that trust it. */
  readonly entries: ReadonlySet<Entry>
  /** Why no entry trusts it. */
  readonly refusal: PathRefusal
  /** Why each of the other entries does not trust it. Without those that do not know its issuer. */
  readonly refusals: ReadonlyMap<Entry, PathRefusal>
}

/** How long another search for an entry would give the result of the last one. */
export interface Lasting extends Span {
  /** Whether something has been learned since that may change it. */
  readonly isOutdated: () => boolean
}

/** A path that was found, and until when another search would find it. */
export type Held = Path & Lasting

/** The results of judging a certificate. */
export interface Findings<Entry> {
  readonly leaf: Certificate
  /** Without an entry for which no path was found. */
  readonly paths: ReadonlyMap<Entry, Held>
  /** One for each entry without a path. */
  readonly lacks: readonly Lasting[]
  /** Why entries have no path. */
  readonly refusals: ReadonlyMap<Entry, PathRefusal>
  /** The time of the signature checks, in milliseconds of a core. */
  readonly costMs: number
}

/** A certificate, and a path for each entry that trusts it. Clients come back often and share it. */
export class Verdict<Entry> {
  readonly leaf: Certificate
  readonly paths: ReadonlyMap<Entry, Held>
  readonly costMs: number
  readonly #lacks: readonly Lasting[]
  /** Without those that do not know its issuer. */
  readonly #refusals: ReadonlyMap<Entry, PathRefusal>
  #opinion: Opinion<Entry> | undefined

  constructor({ leaf, paths, lacks, refusals, costMs }: Findings<Entry>) {
    this.leaf = leaf
    this.paths = paths
    this.costMs = costMs
    this.#lacks = lacks
    this.#refusals = new Map([...refusals].filter(([, refusal]) => refusal !== 'ISSUER_UNKNOWN'))
  }

  /** The CAs between the certificate and the trust anchors. */
  get issuers(): Certificate[] {
    const issuers = [...this.paths.values()].flatMap(({ certificates }) => certificates.slice(1, -1))
    return [...new Set(issuers)]
  }

  /** The opinion at `now`. The same object as long as nothing changes. */
  at(now: number): Opinion<Entry> {
    const known = this.#opinion
    return known !== undefined && holds(known, now) ? known : (this.#opinion = this.#look(now))
  }

  /** Whether judging again would give the same result. */
  isCurrent(now: number): boolean {
    for (const path of this.paths.values()) if (!lasts(path, now)) return false
    return this.#lacks.every((lack) => lasts(lack, now))
  }

  #look(now: number): Opinion<Entry> {
    const paths = [...this.paths]
    const ended = paths.filter(([, path]) => !holds(path, now))
    return {
      entries: new Set(paths.filter(([, path]) => holds(path, now)).map(([entry]) => entry)),
      refusal: this.#refusalAt(now),
      refusals: new Map([...this.#refusals, ...ended.map(([entry, path]) => [entry, endOf([path], now)] as const)]),
      ...eraOf([...this.paths.values()], now),
    }
  }

  #refusalAt(now: number): PathRefusal {
    if (this.paths.size > 0) return endOf([...this.paths.values()], now)
    // Of several reasons, that of the first entry that knows the issuer.
    const [refusal = 'ISSUER_UNKNOWN'] = this.#refusals.values()
    return refusal
  }
}

/** Why none of these paths holds. */
function endOf(paths: readonly Path[], now: number): PathRefusal {
  const isBefore = ({ certificates }: Path) => certificates.some(({ notBefore }) => now < notBefore)
  const isAfter = ({ certificates }: Path) => certificates.some(({ notAfter }) => notAfter < now)
  if (paths.every(isBefore)) return 'CERT_NOT_YET_VALID'
  // Otherwise the revocation lists that the path relied on have ended.
  return paths.some(isAfter) ? 'CERT_HAS_EXPIRED' : 'REVOCATION_UNKNOWN'
}

/** Whether another search would give the same result. */
export const lasts = (finding: Lasting, now: number): boolean => holds(finding, now) && !finding.isOutdated()

export const holds = ({ from, until }: Span, now: number): boolean => from <= now && now <= until

/** The time around `now` in which none of the spans begins or ends. */
export function eraOf(spans: readonly Span[], now: number): Span {
  const turns = spans.flatMap(({ from, until }) => [from - 1, until])
  return {
    from: Math.max(-Infinity, ...turns.filter((turn) => turn < now).map((turn) => turn + 1)),
    until: Math.min(Infinity, ...turns.filter((turn) => turn >= now)),
  }
}
