import type { Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import type { Path } from '../x509/search.ts'

/** From its first moment to its last, in milliseconds since the epoch. */
export interface Span {
  readonly from: number
  readonly until: number
}

/** What holds of a certificate for a while. */
export interface Opinion<Entry> extends Span {
  /** That trust it. */
  readonly entries: ReadonlySet<Entry>
  /** Why there is no such entry. */
  readonly refusal: PathRefusal
}

/** For how long another search finds no more than the last one, for an entry without a path. */
export interface Lack extends Span {
  /** Whether something was learned since. */
  readonly isOutdated: () => boolean
}

/** What was found of a certificate. */
export interface Findings<Entry> {
  readonly leaf: Certificate
  /** An entry is absent if no path was found for it. */
  readonly paths: ReadonlyMap<Entry, Path>
  readonly lacks: readonly Lack[]
  /** Why no entry has a path; of several reasons the one of the entry that came nearest. */
  readonly refusal: PathRefusal
  /** What the signature checks took, in milliseconds of a core. */
  readonly costMs: number
}

/** A certificate, and for each entry that trusts it a path. Clients come back often, and share it. */
export class Verdict<Entry> {
  readonly leaf: Certificate
  readonly paths: ReadonlyMap<Entry, Path>
  readonly costMs: number
  readonly #lacks: readonly Lack[]
  readonly #refusal: PathRefusal
  #opinion: Opinion<Entry> | undefined

  constructor({ leaf, paths, lacks, refusal, costMs }: Findings<Entry>) {
    this.leaf = leaf
    this.paths = paths
    this.costMs = costMs
    this.#lacks = lacks
    this.#refusal = refusal
  }

  /** The CAs between the certificate and the trust anchors. */
  get issuers(): Certificate[] {
    const issuers = [...this.paths.values()].flatMap(({ certificates }) => certificates.slice(1, -1))
    return [...new Set(issuers)]
  }

  /** By the clock of `now`; the same object as long as nothing changes. */
  at(now: number): Opinion<Entry> {
    const known = this.#opinion
    return known !== undefined && holds(known, now) ? known : (this.#opinion = this.#look(now))
  }

  /** Whether to judge anew would find the same. */
  isCurrent(now: number): boolean {
    return (
      this.at(now).entries.size === this.paths.size &&
      this.#lacks.every((lack) => holds(lack, now) && !lack.isOutdated())
    )
  }

  #look(now: number): Opinion<Entry> {
    const paths = [...this.paths]
    return {
      entries: new Set(paths.filter(([, path]) => holds(path, now)).map(([entry]) => entry)),
      refusal: this.#refusalAt(now),
      ...eraOf([...this.paths.values()], now),
    }
  }

  #refusalAt(now: number): PathRefusal {
    const paths = [...this.paths.values()].map(({ certificates }) => certificates)
    if (paths.length === 0) return this.#refusal
    if (paths.every((path) => path.some(({ notBefore }) => now < notBefore))) return 'CERT_NOT_YET_VALID'
    if (paths.some((path) => path.some(({ notAfter }) => notAfter < now))) return 'CERT_HAS_EXPIRED'
    // What revocation lists said has ended.
    return 'REVOCATION_UNKNOWN'
  }
}

export const holds = ({ from, until }: Span, now: number): boolean => from <= now && now <= until

/** The time around `now` in which none of the spans begins or ends. */
export function eraOf(spans: readonly Span[], now: number): Span {
  const turns = spans.flatMap(({ from, until }) => [from - 1, until])
  return {
    from: Math.max(-Infinity, ...turns.filter((turn) => turn < now).map((turn) => turn + 1)),
    until: Math.min(Infinity, ...turns.filter((turn) => turn >= now)),
  }
}
