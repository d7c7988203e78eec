import { OperatorError } from '../../adapters/contract/index.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import { SignatureChecks, SignatureMemory, type Path } from '../x509/search.ts'
import { modernSignatures } from '../x509/signature.ts'
import { authoritiesOf, type Authority, type TrustedCas } from './authority.ts'
import { holds, Verdict, type Lack } from './verdict.ts'

/** Clients whose verdict is remembered. */
const MAX_REMEMBERED = 256

interface Remembered<Entry> {
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
  /** Verdicts that are made anew. */
  readonly #renewals = new Map<Verdict<Entry>, Promise<Verdict<Entry>>>()

  /** @param before another trust, whose learned issuing CAs stay known */
  constructor(entries: readonly Entry[], before?: Trust) {
    this.#authorities = authoritiesOf(entries)
    if (before !== undefined) this.learnFrom(before)
    const certificates = entries.flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
    this.ca = [...new Set(certificates.map((certificate) => certificate.toString()))]
  }

  /**
   * What was found for a certificate before, if to judge it anew would find the same.
   *
   * @param leaf the certificate's fingerprint, in Node.js's spelling
   * @param sent fingerprints of what came with it, likewise; absent on a resumed session, where nothing comes
   */
  recall(leaf: string, sent: string | undefined, now: number): Verdict<Entry> | undefined {
    const remembered = this.#remembered.get(leaf)
    if (remembered === undefined) return undefined
    // What it did not send the last time may lead to more entries.
    if (sent !== undefined && sent !== remembered.sent) return undefined
    if (!remembered.verdict.isCurrent(now)) return undefined
    this.#remembered.delete(leaf)
    this.#remembered.set(leaf, remembered)
    return remembered.verdict
  }

  /** Takes over what clients taught another trust, for entries that have a root in common. */
  learnFrom(other: Trust): void {
    for (const { anchors, learned } of other.#authorities) {
      for (const root of anchors) for (const issuer of learned) this.learn(issuer, root)
    }
  }

  /**
   * Judges a certificate. The time that it takes is bounded, and next to nothing of it is the event loop's.
   *
   * @param before what was found for it; a path that holds is not looked for again
   */
  async judge(
    leaf: Certificate,
    sent: readonly Certificate[],
    now: number,
    before: Verdict<Entry> | undefined = this.#remembered.get(spelled(leaf))?.verdict,
  ): Promise<Verdict<Entry>> {
    const memory = new SignatureMemory(modernSignatures)
    const paths = new Map<Entry, Path>()
    const lacks: Lack[] = []
    let refusal: PathRefusal = 'ISSUER_UNKNOWN'
    let isComplete = true
    for (const authority of this.#authorities) {
      const { lessons } = authority
      // What one entry's search spends, another does not lack.
      const signatures = new SignatureChecks(memory)
      const found = heldBy(before, authority, now) ?? (await authority.find(leaf, sent, signatures, now))
      if ('certificates' in found) for (const entry of authority.entries) paths.set(entry, found)
      else {
        lacks.push(authority.lackOf(leaf, sent, lessons, now))
        if (refusal === 'ISSUER_UNKNOWN') refusal = found.refusal
      }
      isComplete &&= !signatures.isExhausted
    }
    const verdict = new Verdict({ leaf, paths, lacks, refusal, costMs: memory.costMs })
    if (paths.size > 0) this.#learnFrom(verdict, sent)
    if (paths.size > 0 && isComplete) this.#remember(verdict, sent)
    return verdict
  }

  /** Judges a certificate anew by what is known now. However many ask for it at a time, it is done once. */
  async renew(verdict: Verdict<Entry>, now: number): Promise<Verdict<Entry>> {
    const { leaf, issuers } = verdict
    const known = this.recall(spelled(leaf), undefined, now)
    if (known !== undefined && [...verdict.at(now).entries].every((entry) => known.paths.has(entry))) return known
    let renewal = this.#renewals.get(verdict)
    if (renewal === undefined) {
      renewal = this.judge(leaf, issuers, now, verdict).finally(() => this.#renewals.delete(verdict))
      this.#renewals.set(verdict, renewal)
    }
    return renewal
  }

  /** Reads and checks the revocation lists. Rejects with an {@link OperatorError} if one of them cannot be used. */
  async prepare(): Promise<void> {
    for (const { known, revocation } of this.#authorities) {
      const problem = await revocation?.prepare(known, modernSignatures)
      if (problem !== undefined) throw new OperatorError('REVOCATION_LIST_INVALID', problem)
    }
  }

  /**
   * Takes over an issuing CA that another process, or another trust, learned. Returns whether it is new.
   *
   * @param root the fingerprint of the trust anchor that it leads to: entries without that root have no use for it
   */
  learn(issuer: Certificate, root: string): boolean {
    return this.#authorities.map((authority) => authority.learn(issuer, root)).includes(true)
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

/** The path that was found before, if it holds. */
function heldBy<Entry extends TrustedCas>(
  before: Verdict<Entry> | undefined,
  { entries: [entry] }: Authority<Entry>,
  now: number,
): Path | undefined {
  const path = entry && before?.paths.get(entry)
  return path && holds(path, now) ? path : undefined
}

/** A certificate's fingerprint as Node.js spells it: to change that costs more than anything else at a handshake. */
export const spelled = ({ fingerprint }: Certificate): string =>
  (fingerprint.toUpperCase().match(/../g) ?? []).join(':')
