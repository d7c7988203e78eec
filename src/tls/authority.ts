import { createHash, type X509Certificate } from 'node:crypto'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import type { Revocation } from '../x509/revocation.ts'
import { PathSearch, type Found, type SignatureChecks } from '../x509/search.ts'
import { eraOf, type Lack, type Span } from './verdict.ts'

/** Issuing CAs that clients taught one entry: more than any PKI has in use. Beyond them the oldest is forgotten. */
const MAX_LEARNED = 64

/** What one entry of an allow-list trusts. */
export interface TrustedCas {
  /** Trust anchors. Each of them, and of the issuing CAs, can be parsed. */
  readonly roots: readonly X509Certificate[]
  /** Issuing CAs that are known beforehand. */
  readonly intermediates: readonly X509Certificate[]
  readonly revocation?: Revocation | undefined
}

interface Learned {
  readonly issuer: Certificate
  /** As the authority counts them. */
  readonly lesson: number
}

/** Trusts the same certificates and lists for each of its entries, so that one path serves them all. */
export class Authority<Entry extends TrustedCas> {
  readonly entries: Entry[]
  readonly revocation: Revocation | undefined
  readonly #anchors: ReadonlySet<string>
  readonly #known = new Map<string, readonly Certificate[]>()
  /**
   * Issuing CAs of paths that were found, by fingerprint. They are looked at, and never believed without a signature. What
   * clients of one entry taught is not shown to another: it could fill the other's search.
   */
  readonly #learned = new Map<string, Learned>()
  #lessons = 0

  constructor(entry: Entry) {
    const [roots, intermediates] = [entry.roots, entry.intermediates].map((certificates) =>
      certificates.map(({ raw }) => parseCertificate(raw)),
    ) as [Certificate[], Certificate[]]
    this.entries = [entry]
    this.revocation = entry.revocation
    this.#anchors = new Set(roots.map(({ fingerprint }) => fingerprint))
    for (const certificate of [...roots, ...intermediates]) {
      const { key } = certificate.subject
      this.#known.set(key, [...this.#configured(key), certificate])
    }
  }

  /** The fingerprints of its trust anchors. */
  get anchors(): Iterable<string> {
    return this.#anchors
  }

  /** The certificates that the operator named. */
  get known(): Certificate[] {
    return [...this.#known.values()].flat()
  }

  get learned(): Certificate[] {
    return [...this.#learned.values()].map(({ issuer }) => issuer)
  }

  /** How many issuing CAs it ever learned. */
  get lessons(): number {
    return this.#lessons
  }

  /**
   * Returns whether it is new.
   *
   * @param root the fingerprint of the trust anchor that it leads to: an authority without it has no use for the issuing CA
   */
  learn(issuer: Certificate, root: string): boolean {
    if (!this.#anchors.has(root)) return false
    const known = this.#learned.get(issuer.fingerprint)
    this.#learned.delete(issuer.fingerprint)
    this.#learned.set(issuer.fingerprint, known ?? { issuer, lesson: (this.#lessons += 1) })
    const [oldest] = this.#learned.keys()
    if (this.#learned.size > MAX_LEARNED && oldest !== undefined) this.#learned.delete(oldest)
    return known === undefined
  }

  /**
   * Searches a path. What revocation lists say of it can rest on any of them, on their signers and on the paths of these,
   * also on one that does not count yet. So it holds until the first of all these begins or ends.
   */
  async find(
    leaf: Certificate,
    sent: readonly Certificate[],
    signatures: SignatureChecks,
    now: number,
  ): Promise<Found> {
    const untrusted = [...sent, ...this.learned]
    const era = this.#eraOf(leaf, untrusted, now)
    const issuers = {
      isAnchor: ({ fingerprint }: Certificate) => this.#anchors.has(fingerprint),
      configured: (subject: string) => this.#configured(subject),
      others: (subject: string) => untrusted.filter((certificate) => certificate.subject.key === subject),
    }
    const found = await new PathSearch({ issuers, signatures, revocation: this.revocation, now }).find(
      leaf,
      'clientAuth',
    )
    return 'certificates' in found && this.revocation !== undefined ? { ...found, ...era } : found
  }

  /**
   * If no path was found: none can be, before a certificate or a list begins or ends, or an issuing CA is learned that can be
   * above the leaf.
   *
   * @param lessons as many as there were when the search began
   */
  lackOf(leaf: Certificate, sent: readonly Certificate[], lessons: number, now: number): Lack {
    const above = this.#namesAbove(leaf)
    const isNews = ({ issuer, lesson }: Learned) => lesson > lessons && above.has(issuer.subject.key)
    const isOutdated = () => this.#lessons > lessons && [...this.#learned.values()].some(isNews)
    return { ...this.#eraOf(leaf, [...sent, ...this.learned], now), isOutdated }
  }

  /** The time around `now` in which no certificate and no list begins or ends. */
  #eraOf(leaf: Certificate, untrusted: readonly Certificate[], now: number): Span {
    const certificates = [leaf, ...untrusted, ...this.known]
    const lists = this.revocation?.lists ?? []
    return eraOf(
      [
        ...certificates.map(({ notBefore, notAfter }) => ({ from: notBefore, until: notAfter })),
        ...lists.map(({ thisUpdate, nextUpdate }) => ({ from: thisUpdate, until: nextUpdate })),
      ],
      now,
    )
  }

  /** The names of the CAs that can be above a certificate, or a revocation list, by what is known. */
  #namesAbove({ issuer }: Certificate): ReadonlySet<string> {
    const { learned, revocation } = this
    const names = new Set([issuer, ...(revocation?.lists.map((list) => list.issuer) ?? [])].map(({ key }) => key))
    // It goes on to the names that are added meanwhile.
    for (const name of names) {
      const holders = [...this.#configured(name), ...learned.filter(({ subject }) => subject.key === name)]
      for (const { issuer } of holders) names.add(issuer.key)
    }
    return names
  }

  #configured(subject: string): readonly Certificate[] {
    return this.#known.get(subject) ?? []
  }
}

/** One authority for all entries that trust the same. */
export function authoritiesOf<Entry extends TrustedCas>(entries: readonly Entry[]): Authority<Entry>[] {
  const authorities = new Map<string, Authority<Entry>>()
  for (const entry of entries) {
    const name = nameOf(entry)
    const authority = authorities.get(name)
    if (authority === undefined) authorities.set(name, new Authority(entry))
    else authority.entries.push(entry)
  }
  return [...authorities.values()]
}

const fingerprintsOf = (certificates: readonly X509Certificate[]) =>
  certificates.map(({ fingerprint256 }) => fingerprint256).sort()

function nameOf({ roots, intermediates, revocation }: TrustedCas): string {
  const trusted = JSON.stringify([fingerprintsOf(roots), fingerprintsOf(intermediates), revocation?.name])
  return createHash('sha256').update(trusted).digest('base64')
}
