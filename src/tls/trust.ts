import { OperatorError } from '../../adapters/contract/index.ts'
import { Recent } from '../base/recent.ts'
import { Turns } from '../base/turns.ts'
import type { Certificate } from '../x509/certificate.ts'
import type { PathRefusal } from '../x509/path.ts'
import { ClientChecks, SearchChecks } from '../x509/search.ts'
import { modernSignatures } from '../x509/signature.ts'
import { authoritiesOf, type Authority, type TrustedCas } from './authority.ts'
import { lasts, Verdict, type Held, type Lasting } from './verdict.ts'

/** Milliseconds of the event loop after which a search gives way to other work. */
export const TURN_MS = 1
/** The most clients whose verdict is remembered. */
const MAX_REMEMBERED = 256

interface Remembered<Entry> {
  readonly verdict: Verdict<Entry>
  /** Fingerprints of the certificates that came with it at its last full handshake. */
  readonly sent: string
}

/**
 * Finds the allow-list entries that trust a client's certificate. An entry trusts it if this gateway itself finds a
 * path, allowed by RFC 5280, to a root of that entry. Trust by OpenSSL or by another entry does not count.
 */
export class Trust<Entry extends TrustedCas = TrustedCas> {
  /** PEM of every trusted certificate. Clients are told that these may have issued theirs. */
  readonly ca: readonly string[]
  /** Called with each issuing CA that a client taught. */
  onLearned: ((issuer: Certificate, root: string) => void) | undefined
  readonly #authorities: readonly Authority<Entry>[]
  /** By the client certificate's fingerprint. */
  readonly #remembered = new Recent<Remembered<Entry>>(MAX_REMEMBERED)
  /** Verdicts that are being renewed. */
  readonly #renewals = new Map<Verdict<Entry>, Promise<Verdict<Entry>>>()

  /** @param before another trust whose learned issuing CAs stay known */
  constructor(entries: readonly Entry[], before?: Trust) {
    this.#authorities = authoritiesOf(entries)
    if (before !== undefined) this.learnFrom(before)
    const certificates = entries.flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
    this.ca = [...new Set(certificates.map((certificate) => certificate.toString()))]
  }

  /**
   * The remembered verdict on a certificate, if judging it again would give the same.
   *
   * @param leaf the certificate's fingerprint, in Node.js's spelling
   * @param sent fingerprints of the certificates that came with it, likewise; undefined on a resumed session, where
   *   none come
   */
  recall(leaf: string, sent: string | undefined, now: number): Verdict<Entry> | undefined {
    const remembered = this.#remembered.get(leaf)
    if (remembered === undefined) return undefined
    // Certificates that it did not send last time may lead to more entries.
    if (sent !== undefined && sent !== remembered.sent) return undefined
    return remembered.verdict.isCurrent(now) ? remembered.verdict : undefined
  }

  /** Takes over what clients taught another trust, for entries with a common root. */
  learnFrom(other: Trust): void {
    for (const { anchors, learned } of other.#authorities) {
      for (const root of anchors) for (const issuer of learned) this.learn(issuer, root)
    }
  }

  /**
   * Judges a certificate. The time is bounded, and hardly any of it is the event loop's.
   *
   * @param before an earlier verdict on it; a path that it holds and that lasts is not searched again
   */
  async judge(
    leaf: Certificate,
    sent: readonly Certificate[],
    now: number,
    before: Verdict<Entry> | undefined = this.#remembered.get(spelled(leaf))?.verdict,
  ): Promise<Verdict<Entry>> {
    const turns = new Turns(TURN_MS)
    const memory = new ClientChecks(modernSignatures, () => turns.giveWay())
    const paths = new Map<Entry, Held>()
    const lacks: Lasting[] = []
    const refusals = new Map<Entry, PathRefusal>()
    let isComplete = true
    for (const authority of this.#authorities) {
      // Even an entry that knows nothing of the issuer takes some hundredths of a millisecond.
      await turns.giveWay()
      const { lessons } = authority
      // One entry's search must not use up another's checks.
      const checks = new SearchChecks(memory)
      const found = heldBy(before, authority, now) ?? (await authority.find(leaf, sent, checks, now))
      if ('certificates' in found) for (const entry of authority.entries) paths.set(entry, found)
      else {
        lacks.push(authority.lackOf(leaf, sent, lessons, now))
        for (const entry of authority.entries) refusals.set(entry, found.refusal)
      }
      isComplete &&= !checks.isExhausted
    }
    const verdict = new Verdict({ leaf, paths, lacks, refusals, costMs: memory.costMs })
    if (paths.size > 0) this.#learnFrom(verdict, sent)
    if (paths.size > 0 && isComplete) this.#remember(verdict, sent)
    return verdict
  }

  /** Judges a certificate again with present knowledge. Concurrent requests share one renewal. */
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

  /**
   * Reads and checks the revocation lists.
   * @throws OperatorError if one of them cannot be used
   */
  async prepare(): Promise<void> {
    for (const { known, revocation } of this.#authorities) {
      const problem = await revocation?.prepare(known, modernSignatures)
      if (problem !== undefined) throw new OperatorError('REVOCATION_LIST_INVALID', problem)
    }
  }

  /**
   * Takes over an issuing CA that another process or another trust learned.
   *
   * @param root the fingerprint of the trust anchor that it leads to; entries without that root do not need it
   * @returns whether it is new
   */
  learn(issuer: Certificate, root: string): boolean {
    return this.#authorities.map((authority) => authority.learn(issuer, root)).includes(true)
  }

  /** Learns only those of the sent certificates that are on a path. */
  #learnFrom({ paths }: Verdict<Entry>, sent: readonly Certificate[]): void {
    for (const { certificates } of new Set(paths.values())) {
      const root = (certificates.at(-1) as Certificate).fingerprint
      const issuers = certificates.slice(1, -1).filter((issuer) => sent.includes(issuer))
      for (const issuer of issuers) if (this.learn(issuer, root)) this.onLearned?.(issuer, root)
    }
  }

  #remember(verdict: Verdict<Entry>, sent: readonly Certificate[]): void {
    this.#remembered.set(spelled(verdict.leaf), { verdict, sent: sent.map(spelled).join() })
  }
}

/** The path that was found before, if another search would find it. */
function heldBy<Entry extends TrustedCas>(
  before: Verdict<Entry> | undefined,
  { entries: [entry] }: Authority<Entry>,
  now: number,
): Held | undefined {
  const path = entry && before?.paths.get(entry)
  return path && lasts(path, now) ? path : undefined
}

/**
 * A certificate's fingerprint in Node.js's spelling: converting it would cost more than anything else at a handshake.
 */
export const spelled = ({ fingerprint }: Certificate): string =>
  (fingerprint.toUpperCase().match(/../g) ?? []).join(':')
