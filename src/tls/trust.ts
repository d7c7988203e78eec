import type { X509Certificate } from 'node:crypto'
import { OperatorError } from '../../adapters/contract/index.ts'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import type { Revocation } from '../x509/revocation.ts'
import { PathSearch, SignatureChecks, type Path } from '../x509/search.ts'
import { modernSignatures } from '../x509/signature.ts'

/** Issuing CAs that clients taught: more than any PKI has in use. */
const MAX_LEARNED = 1000
/** Clients whose verdict is remembered. */
const MAX_REMEMBERED = 256

/** What one entry of an allow-list trusts. */
export interface TrustedCas {
  /** Trust anchors. Each of them, and of the issuing CAs, can be parsed. */
  readonly roots: readonly X509Certificate[]
  /** Issuing CAs that are known beforehand. */
  readonly intermediates: readonly X509Certificate[]
  readonly revocation?: Revocation | undefined
}

/** Which entries a certificate is trusted by, and by which path each. */
export interface Verdict<Entry extends TrustedCas> {
  /** An entry is absent if no path was found for it. */
  readonly paths: ReadonlyMap<Entry, Path>
  /** Why no entry has a path; of several reasons the one of the entry that came nearest. */
  readonly refusal: PathRefusal
  /** What the signature checks took, in milliseconds of a core. */
  readonly costMs: number
}

/** Trusts the same certificates and lists for each of its entries, so that one path serves them all. */
interface Authority<Entry> {
  readonly entries: Entry[]
  readonly anchors: ReadonlySet<string>
  readonly known: ReadonlyMap<string, readonly Certificate[]>
  readonly revocation: Revocation | undefined
}

/** A certificate, and what was found for it. */
export interface Judged<Entry extends TrustedCas> {
  readonly leaf: Certificate
  readonly verdict: Verdict<Entry>
}

interface Remembered<Entry extends TrustedCas> extends Judged<Entry> {
  /** Fingerprints of the certificates that came with it at its last full handshake. */
  readonly sent: string
}

/**
 * Finds the allow-list entries that trust a client's certificate: those for which this gateway itself finds a path that
 * RFC 5280 allows, to a root of that entry. Nothing that OpenSSL or another entry trusts counts.
 */
export class Trust<Entry extends TrustedCas = TrustedCas> {
  /** Every trusted certificate, PEM: what clients are told that may have issued theirs. */
  readonly ca: readonly string[]
  /** Is told of each issuing CA that a client taught. */
  onLearned: ((issuer: Certificate) => void) | undefined
  readonly #authorities: readonly Authority<Entry>[]
  /** Issuing CAs of paths that were found, by subject. They are looked at, and never believed without a signature. */
  readonly #learned: Map<string, Certificate[]>
  readonly #learnedFingerprints: Set<string>
  /** By the client certificate's fingerprint; the one used longest ago first. */
  readonly #remembered = new Map<string, Remembered<Entry>>()

  /** @param before another trust, whose learned issuing CAs stay known */
  constructor(entries: readonly Entry[], before?: Trust) {
    const authorities = new Map<string, Authority<Entry>>()
    for (const entry of entries) {
      const name = nameOf(entry)
      const authority = authorities.get(name)
      if (authority === undefined) authorities.set(name, authorityOf(entry))
      else authority.entries.push(entry)
    }
    this.#authorities = [...authorities.values()]
    const certificates = entries.flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
    this.ca = [...new Set(certificates.map((certificate) => certificate.toString()))]
    this.#learned = before ? before.#learned : new Map<string, Certificate[]>()
    this.#learnedFingerprints = before ? before.#learnedFingerprints : new Set<string>()
  }

  /**
   * What was found for a certificate before, if that holds now.
   *
   * @param leaf the certificate's fingerprint
   * @param sent fingerprints of what came with it; absent on a resumed session, where nothing comes
   */
  recall(leaf: string, sent: string | undefined, now: number): Judged<Entry> | undefined {
    const remembered = this.#remembered.get(leaf)
    if (remembered === undefined) return undefined
    // What it did not send the last time may lead to more entries.
    if (sent !== undefined && sent !== remembered.sent) return undefined
    for (const path of remembered.verdict.paths.values()) if (!holds(path, now)) return undefined
    this.#remembered.delete(leaf)
    this.#remembered.set(leaf, remembered)
    return remembered
  }

  /** Judges a certificate. The time that it takes is bounded, and next to nothing of it is the event loop's. */
  async judge(leaf: Certificate, sent: readonly Certificate[], now: number): Promise<Verdict<Entry>> {
    const signatures = new SignatureChecks(modernSignatures)
    const paths = new Map<Entry, Path>()
    let refusal: PathRefusal = 'ISSUER_UNKNOWN'
    for (const { entries, anchors, known, revocation } of this.#authorities) {
      const issuers = {
        isAnchor: ({ fingerprint }: Certificate) => anchors.has(fingerprint),
        named: (subject: string) => [
          ...(known.get(subject) ?? []),
          ...sent.filter((certificate) => certificate.subject.key === subject),
          ...(this.#learned.get(subject) ?? []),
        ],
      }
      const found = await new PathSearch({ issuers, signatures, revocation, now }).find(leaf, 'clientAuth')
      if ('certificates' in found) for (const entry of entries) paths.set(entry, found)
      else if (refusal === 'ISSUER_UNKNOWN') refusal = found.refusal
    }
    const verdict = { paths, refusal, costMs: signatures.costMs }
    if (paths.size > 0) this.#remember(leaf, sent, verdict)
    return verdict
  }

  /** Reads and checks the revocation lists. Rejects with an {@link OperatorError} if one of them cannot be used. */
  async prepare(): Promise<void> {
    for (const { known, revocation } of this.#authorities) {
      const problem = await revocation?.prepare([...known.values()].flat(), modernSignatures)
      if (problem !== undefined) throw new OperatorError('REVOCATION_LIST_INVALID', problem)
    }
  }

  /** Takes over an issuing CA that another process of this gateway learned. */
  learn(issuer: Certificate): boolean {
    if (this.#learnedFingerprints.has(issuer.fingerprint) || this.#learnedFingerprints.size === MAX_LEARNED)
      return false
    this.#learnedFingerprints.add(issuer.fingerprint)
    this.#learned.set(issuer.subject.key, [...(this.#learned.get(issuer.subject.key) ?? []), issuer])
    return true
  }

  #remember(leaf: Certificate, sent: readonly Certificate[], verdict: Verdict<Entry>): void {
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
    const fingerprints = sent.map(({ fingerprint }) => fingerprint).join()
    this.#remembered.set(leaf.fingerprint, { leaf, verdict, sent: fingerprints })
    // Of what came with it, what is on a path is kept, and nothing else.
    const onPaths = new Set([...verdict.paths.values()].flatMap(({ certificates }) => certificates.slice(1, -1)))
    for (const issuer of onPaths) if (sent.includes(issuer) && this.learn(issuer)) this.onLearned?.(issuer)
  }
}

/** Whether a path that was found holds now. */
export const holds = ({ from, until }: Path, now: number): boolean => from <= now && now <= until

const fingerprintsOf = (certificates: readonly X509Certificate[]) =>
  certificates.map(({ fingerprint256 }) => fingerprint256).sort()

const nameOf = ({ roots, intermediates, revocation }: TrustedCas): string =>
  JSON.stringify([fingerprintsOf(roots), fingerprintsOf(intermediates), revocation?.name])

function authorityOf<Entry extends TrustedCas>(entry: Entry): Authority<Entry> {
  const [roots, intermediates] = [entry.roots, entry.intermediates].map((certificates) =>
    certificates.map(({ raw }) => parseCertificate(raw)),
  ) as [Certificate[], Certificate[]]
  const known = new Map<string, Certificate[]>()
  for (const certificate of [...roots, ...intermediates]) {
    known.set(certificate.subject.key, [...(known.get(certificate.subject.key) ?? []), certificate])
  }
  const anchors = new Set(roots.map(({ fingerprint }) => fingerprint))
  return { entries: [entry], anchors, known, revocation: entry.revocation }
}
