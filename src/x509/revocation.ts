import type { Certificate } from './certificate.ts'
import type { Entry, RevocationList } from './crl.ts'
import { DerError } from './der.ts'
import { ALL_REASONS, type DistributionPoint } from './distribution-points.ts'
import type { PathRefusal } from './path.ts'
import { likelyFirst, type PathSearch } from './search.ts'
import type { SignatureRules } from './signature.ts'

/** What to do with a certificate that no current list covers. */
export type WhenStale = 'refuse' | 'warn'

/** What lists say about one certificate. */
type Status = 'good' | 'revoked' | 'unknown'

/** A list that covers a certificate. */
interface Claim {
  readonly list: RevocationList
  /** The reasons, as bits, for which it says whether the certificate was revoked. */
  readonly reasons: number
  /** True if no list of another key takes precedence. */
  readonly isOwn: boolean
}

/** Revocation lists, and their use (RFC 5280 section 6.3). */
export class Revocation {
  readonly lists: readonly RevocationList[]
  /** Equal if both judge in the same way. */
  readonly name: string
  readonly whenStale: WhenStale
  readonly #complete: readonly RevocationList[]
  /**
   * Whether a signer signed a list, by list and signer, because that is asked often. Failures are kept only for
   * configured CAs.
   */
  readonly #signed = new Map<string, boolean>()

  constructor(lists: readonly RevocationList[], whenStale: WhenStale) {
    this.lists = lists
    this.name = [whenStale, ...lists.map(({ fingerprint }) => fingerprint)].join()
    this.whenStale = whenStale
    this.#complete = lists.filter(({ isDelta }) => !isDelta)
  }

  /**
   * Reads all entries, so that no client has to wait for it, and checks the signatures of the lists whose issuer is
   * among `known`.
   * @returns what is wrong with one of them, for people; undefined if nothing is
   */
  async prepare(known: readonly Certificate[], signatures: SignatureRules): Promise<string | undefined> {
    const complete = new Set(this.#complete.map(({ issuer }) => issuer.key))
    for (const list of this.lists) {
      if (!complete.has(list.issuer.key)) {
        return `the revocation list of ${list.issuer.text} is a delta list, and its complete list is missing`
      }
      try {
        await list.prepare()
      } catch (error) {
        if (!(error instanceof DerError)) throw error
        return `the revocation list of ${list.issuer.text} is damaged, or has unknown entries`
      }
      const namesakes = known.filter(({ subject }) => subject.key === list.issuer.key)
      const checks = await Promise.all(namesakes.map((signer) => signatures.verify(list, signer)))
      namesakes.forEach((signer, index) => this.#signed.set(signatureName(list, signer), checks[index] === true))
      if (namesakes.length > 0 && !checks.includes(true)) {
        return `the revocation list of ${list.issuer.text} is not signed by the CA certificate of that name`
      }
    }
    return undefined
  }

  /**
   * Why the lists do not allow the path now. Undefined if they do.
   *
   * @param path from a certificate to a trust anchor, valid apart from revocation
   */
  async refusalOf(path: readonly Certificate[], search: PathSearch): Promise<PathRefusal | undefined> {
    // From the anchor down, because a list counts only if its signer is not revoked itself.
    for (let index = path.length - 2; index >= 0; index -= 1) {
      const status = await this.#statusOf(path, index, search)
      if (status === 'revoked') return 'CERT_REVOKED'
      if (status === 'unknown' && this.whenStale === 'refuse') return 'REVOCATION_UNKNOWN'
    }
    return undefined
  }

  async #statusOf(path: readonly Certificate[], index: number, search: PathSearch): Promise<Status> {
    const certificate = path[index] as Certificate
    // The list covers its own signer's certificate. Only that list could tell, and it is being evaluated.
    if (search.inQuestion.has(certificate)) return 'good'
    search.inQuestion.add(certificate)
    try {
      return await this.#look(certificate, path.slice(index + 1), search)
    } finally {
      search.inQuestion.delete(certificate)
    }
  }

  async #look(certificate: Certificate, above: readonly Certificate[], search: PathSearch): Promise<Status> {
    if (await this.#isNamed(certificate, above, search)) return 'revoked'
    const claims = await this.#claimsOn(certificate, above, search)
    const own = claims.reduce((sum, { reasons, isOwn }) => (isOwn ? sum | reasons : sum), 0)
    let told = 0
    for (const { list, reasons, isOwn } of claims) {
      const counted = isOwn ? reasons : reasons & ~own
      if ((counted & ~told) !== 0 && (await this.#counts(list, above, search))) told |= counted
    }
    return told === ALL_REASONS ? 'good' : 'unknown'
  }

  /**
   * The complete lists that cover the certificate, including old ones. A CA that was renewed with a new key may sign
   * one list for the certificates of both keys, which RFC 5280 allows, or one list with each key. The present lists
   * show which: if there is a list by the key that issued the certificate, no list by another key covers it.
   */
  async #claimsOn(certificate: Certificate, above: readonly Certificate[], search: PathSearch): Promise<Claim[]> {
    const points = pointsOf(certificate)
    const issuer = above[0] as Certificate
    const claims: Claim[] = []
    for (const list of this.#complete) {
      const reasons = points.reduce((sum, point) => sum | list.reasonsFor(certificate, point), 0)
      if (reasons === 0) continue
      const isIndirect = list.issuer.key !== certificate.issuer.key
      const isOwn = isIndirect || (await this.#hasSigned(issuer, list, search, true))
      claims.push({ list, reasons, isOwn })
    }
    return claims
  }

  /**
   * Whether a list names the certificate: any list of its issuer, including an old one, and one for other certificates.
   * RFC 5280 would ignore these and let in a client that the CA is known to have revoked. A newer list of the same kind
   * takes the entry back.
   */
  async #isNamed(certificate: Certificate, above: readonly Certificate[], search: PathSearch): Promise<boolean> {
    for (const list of this.lists) {
      if ((await entryIn(list, certificate)) !== 'revoked') continue
      const signer = await this.#signerOf(list, above, search)
      if (signer !== undefined && !(await this.#isTakenBack(list, signer, certificate, above, search))) return true
    }
    return false
  }

  /** List numbers of different keys are not comparable: only a list of the same key takes an entry back. */
  async #isTakenBack(
    naming: RevocationList,
    signer: Certificate,
    certificate: Certificate,
    above: readonly Certificate[],
    search: PathSearch,
  ): Promise<boolean> {
    for (const list of this.lists) {
      if (!list.isNewerThan(naming) || !list.isCurrent(search.rules.now)) continue
      // A delta list contains changes only. What it does not name is unchanged.
      const entry = await entryIn(list, certificate)
      if (entry !== (list.isDelta ? 'removed' : undefined)) continue
      if (isSameKey(signer, await this.#signerOf(list, above, search))) return true
    }
    return false
  }

  /** Whether a list proves now that a certificate is not revoked. */
  async #counts(list: RevocationList, above: readonly Certificate[], search: PathSearch): Promise<boolean> {
    if (!list.isCurrent(search.rules.now) || !(await isReadable(list))) return false
    return (await this.#signerOf(list, above, search)) !== undefined
  }

  /** The CA that signed the list and may do so. Its own path must lead to the same trust anchor. */
  async #signerOf(
    list: RevocationList,
    above: readonly Certificate[],
    search: PathSearch,
  ): Promise<Certificate | undefined> {
    const { issuers, checks } = search.rules
    const { key } = list.issuer
    const anchor = above.at(-1)
    const trusted = new Set([...above.filter(({ subject }) => subject.key === key), ...issuers.configured(key)])
    const likely = likelyFirst(list, issuers)
    // Untrusted certificates are checked last, because they can use up the search's limits.
    for (const signer of [...likely.filter((one) => trusted.has(one)), ...likely.filter((one) => !trusted.has(one))]) {
      if (signer.keyUsage?.cRLSign === false || !checks.isStrong(signer)) continue
      if (!(await this.#hasSigned(signer, list, search, trusted.has(signer)))) continue
      if (above.includes(signer)) return signer
      const found = await search.find(signer, 'cRLSign')
      if ('certificates' in found && found.certificates.at(-1) === anchor) return signer
    }
    return undefined
  }

  async #hasSigned(
    signer: Certificate,
    list: RevocationList,
    search: PathSearch,
    isTrusted: boolean,
  ): Promise<boolean> {
    const name = signatureName(list, signer)
    const known = this.#signed.get(name)
    if (known !== undefined) return known
    const isGood = await search.rules.checks.verify(list, signer, isTrusted)
    if (isGood) this.#signed.set(name, true)
    return isGood
  }
}

const isSameKey = (one: Certificate, other: Certificate | undefined): boolean =>
  other !== undefined && one.spki.equals(other.spki)

/** What a list says about a certificate. Undefined if its entries cannot be read. */
async function entryIn(list: RevocationList, certificate: Certificate): Promise<Entry | undefined> {
  return (await isReadable(list)) ? list.entryFor(certificate) : undefined
}

async function isReadable(list: RevocationList): Promise<boolean> {
  try {
    await list.prepare()
    return true
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

/** By the signer's key, because anyone can make any number of certificates for a key that is public. */
const signatureName = (list: RevocationList, { spki }: Certificate): string =>
  `${list.fingerprint} ${spki.toString('latin1')}`

/**
 * The distribution points of a certificate, and last the lists of its issuer that no point names (RFC 5280 section
 * 6.3.3).
 */
const pointsOf = ({ distributionPoints, issuer }: Certificate): readonly DistributionPoint[] => [
  ...distributionPoints,
  { names: [{ kind: 'directory', name: issuer }] },
]
