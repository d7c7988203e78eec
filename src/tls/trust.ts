import { createHash, type X509Certificate } from 'node:crypto'
import { OperatorError } from '../../adapters/contract/index.ts'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import type { Revocation } from '../x509/revocation.ts'
import { PathSearch, SignatureChecks, SignatureMemory, type Path } from '../x509/search.ts'
import { modernSignatures } from '../x509/signature.ts'

/** Issuing CAs that clients taught one entry: more than any PKI has in use. Beyond them the oldest is forgotten. */
const MAX_LEARNED = 64
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

/** What holds of a certificate for a while. */
export interface Opinion<Entry> {
  /** That trust it. */
  readonly entries: ReadonlySet<Entry>
  /** Why there is no such entry. */
  readonly refusal: PathRefusal
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly until: number
}

/** A certificate, and for each entry that trusts it a path. Clients come back often, and share it. */
export class Verdict<Entry extends TrustedCas> {
  readonly leaf: Certificate
  /** An entry is absent if no path was found for it. */
  readonly paths: ReadonlyMap<Entry, Path>
  /** What the signature checks took, in milliseconds of a core. */
  readonly costMs: number
  readonly #refusal: PathRefusal
  #opinion: Opinion<Entry> | undefined

  /** @param refusal why no entry has a path; of several reasons the one of the entry that came nearest */
  constructor(leaf: Certificate, paths: ReadonlyMap<Entry, Path>, refusal: PathRefusal, costMs: number) {
    this.leaf = leaf
    this.paths = paths
    this.costMs = costMs
    this.#refusal = refusal
  }

  /** By the clock of `now`; the same object as long as nothing changes. */
  at(now: number): Opinion<Entry> {
    const known = this.#opinion
    return known !== undefined && holds(known, now) ? known : (this.#opinion = this.#look(now))
  }

  /** Whether all of its paths hold. */
  isWhole(now: number): boolean {
    return this.at(now).entries.size === this.paths.size
  }

  #look(now: number): Opinion<Entry> {
    const paths = [...this.paths]
    // It changes when a path begins or ends, of those that hold and of those that do not.
    const turns = paths.flatMap(([, { from, until }]) => [from - 1, until])
    return {
      entries: new Set(paths.filter(([, path]) => holds(path, now)).map(([entry]) => entry)),
      refusal: this.#refusalAt(now),
      from: Math.max(-Infinity, ...turns.filter((turn) => turn < now).map((turn) => turn + 1)),
      until: Math.min(Infinity, ...turns.filter((turn) => turn >= now)),
    }
  }

  #refusalAt(now: number): PathRefusal {
    const paths = [...this.paths.values()]
    if (paths.length === 0) return this.#refusal
    if (paths.every(({ from }) => now < from)) return 'CERT_NOT_YET_VALID'
    // A path ends with one of its certificates, or with a revocation list.
    const isDated = paths.some(({ certificates }) => certificates.some(({ notAfter }) => notAfter < now))
    return isDated ? 'CERT_HAS_EXPIRED' : 'REVOCATION_UNKNOWN'
  }
}

/** Trusts the same certificates and lists for each of its entries, so that one path serves them all. */
interface Authority<Entry> {
  readonly entries: Entry[]
  readonly anchors: ReadonlySet<string>
  readonly known: ReadonlyMap<string, readonly Certificate[]>
  readonly revocation: Revocation | undefined
  /**
   * Issuing CAs of paths that were found, by fingerprint. They are looked at, and never believed without a signature. What
   * clients of one entry taught is not shown to another: it could fill the other's search.
   */
  readonly learned: Map<string, Certificate>
}

interface Remembered<Entry extends TrustedCas> {
  readonly verdict: Verdict<Entry>
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
  onLearned: ((issuer: Certificate, root: string) => void) | undefined
  readonly #authorities: readonly Authority<Entry>[]
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
    if (before !== undefined) this.learnFrom(before)
    const certificates = entries.flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
    this.ca = [...new Set(certificates.map((certificate) => certificate.toString()))]
  }

  /**
   * What was found for a certificate before, if that holds now.
   *
   * @param leaf the certificate's fingerprint, in Node.js's spelling
   * @param sent fingerprints of what came with it, likewise; absent on a resumed session, where nothing comes
   */
  recall(leaf: string, sent: string | undefined, now: number): Verdict<Entry> | undefined {
    const remembered = this.#remembered.get(leaf)
    if (remembered === undefined) return undefined
    // What it did not send the last time may lead to more entries.
    if (sent !== undefined && sent !== remembered.sent) return undefined
    if (!remembered.verdict.isWhole(now)) return undefined
    this.#remembered.delete(leaf)
    this.#remembered.set(leaf, remembered)
    return remembered.verdict
  }

  /** Takes over what clients taught another trust, for entries that have a root in common. */
  learnFrom(other: Trust): void {
    for (const { anchors, learned } of other.#authorities) {
      for (const root of anchors) for (const issuer of learned.values()) this.learn(issuer, root)
    }
  }

  /** Judges a certificate. The time that it takes is bounded, and next to nothing of it is the event loop's. */
  async judge(leaf: Certificate, sent: readonly Certificate[], now: number): Promise<Verdict<Entry>> {
    const memory = new SignatureMemory(modernSignatures)
    const paths = new Map<Entry, Path>()
    let refusal: PathRefusal = 'ISSUER_UNKNOWN'
    let isComplete = true
    for (const { entries, anchors, known, revocation, learned } of this.#authorities) {
      // What one entry's search spends, another does not lack.
      const signatures = new SignatureChecks(memory)
      const untrusted = [...sent, ...learned.values()]
      const issuers = {
        isAnchor: ({ fingerprint }: Certificate) => anchors.has(fingerprint),
        configured: (subject: string) => known.get(subject) ?? [],
        others: (subject: string) => untrusted.filter((certificate) => certificate.subject.key === subject),
      }
      const found = await new PathSearch({ issuers, signatures, revocation, now }).find(leaf, 'clientAuth')
      if ('certificates' in found) for (const entry of entries) paths.set(entry, found)
      else if (refusal === 'ISSUER_UNKNOWN') refusal = found.refusal
      isComplete &&= !signatures.isExhausted
    }
    const verdict = new Verdict(leaf, paths, refusal, memory.costMs)
    if (paths.size > 0) this.#learnFrom(verdict, sent)
    if (paths.size > 0 && isComplete) this.#remember(verdict, sent)
    return verdict
  }

  /** Reads and checks the revocation lists. Rejects with an {@link OperatorError} if one of them cannot be used. */
  async prepare(): Promise<void> {
    for (const { known, revocation } of this.#authorities) {
      const problem = await revocation?.prepare([...known.values()].flat(), modernSignatures)
      if (problem !== undefined) throw new OperatorError('REVOCATION_LIST_INVALID', problem)
    }
  }

  /**
   * Takes over an issuing CA that another process, or another trust, learned. Returns whether it is new.
   *
   * @param root the fingerprint of the trust anchor that it leads to: entries without that root have no use for it
   */
  learn(issuer: Certificate, root: string): boolean {
    const concerned = this.#authorities.filter(({ anchors }) => anchors.has(root))
    return concerned.map(({ learned }) => keep(learned, issuer)).includes(true)
  }

  /** Of what came with a certificate, what is on a path is kept, and nothing else. */
  #learnFrom({ paths }: Verdict<Entry>, sent: readonly Certificate[]): void {
    for (const { certificates } of new Set(paths.values())) {
      const root = (certificates.at(-1) as Certificate).fingerprint
      const issuers = certificates.slice(1, -1).filter((issuer) => sent.includes(issuer))
      for (const issuer of issuers) if (this.learn(issuer, root)) this.onLearned?.(issuer, root)
    }
  }

  #remember(verdict: Verdict<Entry>, sent: readonly Certificate[]): void {
    const [oldest] = this.#remembered.keys()
    if (this.#remembered.size >= MAX_REMEMBERED && oldest !== undefined) this.#remembered.delete(oldest)
    this.#remembered.set(spelled(verdict.leaf), { verdict, sent: sent.map(spelled).join() })
  }
}

/** Whether it is new. */
function keep(learned: Map<string, Certificate>, issuer: Certificate): boolean {
  const isNew = !learned.delete(issuer.fingerprint)
  learned.set(issuer.fingerprint, issuer)
  const [oldest] = learned.keys()
  if (learned.size > MAX_LEARNED && oldest !== undefined) learned.delete(oldest)
  return isNew
}

const holds = ({ from, until }: { readonly from: number; readonly until: number }, now: number): boolean =>
  from <= now && now <= until

/** A certificate's fingerprint as Node.js spells it: to change that costs more than anything else at a handshake. */
export const spelled = ({ fingerprint }: Certificate): string =>
  (fingerprint.toUpperCase().match(/../g) ?? []).join(':')

const fingerprintsOf = (certificates: readonly X509Certificate[]) =>
  certificates.map(({ fingerprint256 }) => fingerprint256).sort()

function nameOf({ roots, intermediates, revocation }: TrustedCas): string {
  const trusted = JSON.stringify([fingerprintsOf(roots), fingerprintsOf(intermediates), revocation?.name])
  return createHash('sha256').update(trusted).digest('base64')
}

function authorityOf<Entry extends TrustedCas>(entry: Entry): Authority<Entry> {
  const [roots, intermediates] = [entry.roots, entry.intermediates].map((certificates) =>
    certificates.map(({ raw }) => parseCertificate(raw)),
  ) as [Certificate[], Certificate[]]
  const known = new Map<string, Certificate[]>()
  for (const certificate of [...roots, ...intermediates]) {
    known.set(certificate.subject.key, [...(known.get(certificate.subject.key) ?? []), certificate])
  }
  const anchors = new Set(roots.map(({ fingerprint }) => fingerprint))
  return { entries: [entry], anchors, known, revocation: entry.revocation, learned: new Map() }
}
