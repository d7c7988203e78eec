import { createHash, type X509Certificate } from 'node:crypto'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import type { Revocation } from '../x509/revocation.ts'
import { PathSearch, type Found, type Path, type SearchChecks } from '../x509/search.ts'
import { eraOf, type Held, type Lasting, type Span } from './verdict.ts'

/** The most issuing CAs that one entry learns from its clients; no PKI uses more. Beyond it the oldest is forgotten. */
const MAX_LEARNED = 64

/** What one entry of an allow-list trusts. */
export interface TrustedCas {
  /** Trust anchors. Each of them, and each issuing CA, can be parsed. */
  readonly roots: readonly X509Certificate[]
  /** Issuing CAs from the configuration. */
  readonly intermediates: readonly X509Certificate[]
  readonly revocation?: Revocation | undefined
}

interface Learned {
  readonly issuer: Certificate
  /** Its number among the CAs that the authority has learned. */
  readonly lesson: number
}

/** What several entries trust in common: the same certificates and lists, so that one path serves all of them. */
export class Authority<Entry extends TrustedCas> {
  readonly entries: Entry[]
  readonly revocation: Revocation | undefined
  readonly #anchors: ReadonlySet<string>
  readonly #known = new Map<string, readonly Certificate[]>()
  /**
   * Issuing CAs of paths that were found, by fingerprint. They are candidates only; a signature must prove each. What
   * clients of one entry taught is not shown to another entry, because it could exhaust the other's search.
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

  /** The configured certificates. */
  get known(): Certificate[] {
    return [...this.#known.values()].flat()
  }

  get learned(): Certificate[] {
    return [...this.#learned.values()].map(({ issuer }) => issuer)
  }

  /** How many issuing CAs it has ever learned. */
  get lessons(): number {
    return this.#lessons
  }

  /**
   * Learns an issuing CA.
   *
   * @param root the fingerprint of the trust anchor that it leads to; an authority without that anchor does not need it
   * @returns whether it is new
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
   * Searches a path. What revocation lists say of it can depend on any list, on the lists' signers and on the signers'
   * paths, even on one that is not valid yet or not known. So the result holds until one of them begins or ends, or is
   * learned.
   */
  async find(
    leaf: Certificate,
    sent: readonly Certificate[],
    checks: SearchChecks,
    now: number,
  ): Promise<Held | Exclude<Found, Path>> {
    const untrusted = [...sent, ...this.learned]
    // The search has looked at what was sent: if it is learned afterwards, that is no news.
    const lasting = this.#lastingOf(leaf, untrusted, sent, this.#lessons, now)
    const issuers = {
      isAnchor: ({ fingerprint }: Certificate) => this.#anchors.has(fingerprint),
      configured: (subject: string) => this.#configured(subject),
      others: (subject: string) => untrusted.filter((certificate) => certificate.subject.key === subject),
    }
    const found = await new PathSearch({ issuers, checks, revocation: this.revocation, now }).find(leaf, 'clientAuth')
    if (!('certificates' in found)) return found
    return this.revocation === undefined ? { ...found, isOutdated: () => false } : { ...found, ...lasting }
  }

  /**
   * For a search without a result: until when no search can find a path, because no certificate or list begins or ends,
   * and no issuing CA is learned that can be above the leaf.
   *
   * @param lessons the number of lessons when the search began
   */
  lackOf(leaf: Certificate, sent: readonly Certificate[], lessons: number, now: number): Lasting {
    return this.#lastingOf(leaf, [...sent, ...this.learned], [], lessons, now)
  }

  /** @param considered certificates that are no news when they are learned */
  #lastingOf(
    leaf: Certificate,
    untrusted: readonly Certificate[],
    considered: readonly Certificate[],
    lessons: number,
    now: number,
  ): Lasting {
    const above = this.#namesAbove(leaf, untrusted)
    const old = new Set(considered.map(({ fingerprint }) => fingerprint))
    const isNews = ({ issuer, lesson }: Learned) =>
      lesson > lessons && above.has(issuer.subject.key) && !old.has(issuer.fingerprint)
    const isOutdated = () => this.#lessons > lessons && [...this.#learned.values()].some(isNews)
    return { ...this.#eraOf(leaf, untrusted, now), isOutdated }
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

  /** The names of the CAs that can be above a certificate or a revocation list, according to known certificates. */
  #namesAbove({ issuer }: Certificate, untrusted: readonly Certificate[]): ReadonlySet<string> {
    const lists = this.revocation?.lists ?? []
    const names = new Set([issuer, ...lists.map((list) => list.issuer)].map(({ key }) => key))
    // The loop includes the names that it adds.
    for (const name of names) {
      const holders = [...this.#configured(name), ...untrusted.filter(({ subject }) => subject.key === name)]
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
