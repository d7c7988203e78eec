import type { Certificate } from './certificate.ts'
import type { GiveWay } from './give-way.ts'
import { NameChecks, NameMemory } from './name-constraints.ts'
import type { Name } from './names.ts'
import { flawOf, issuerFlawOf, pathFlawOf, usageFlawOf, type PathRefusal, type Usage } from './path.ts'
import type { Signed, SignatureRules } from './signature.ts'

/** The most certificates of a path, including the trust anchor. */
const MAX_PATH_LENGTH = 10
/**
 * For one search: the most signature checks with keys of certificates that are not configured, and the most time that
 * they may take, in milliseconds of a core. A real search takes two to four checks, of 0.1 ms each, or 1.5 ms with
 * P-521.
 */
const MAX_SIGNATURE_CHECKS = 16
const MAX_COST_MS = 8
/** The most issuers that are not configured and are examined for one search. */
const MAX_STEPS = 200

/** A valid path, and for how long it is valid by the dates of its certificates. Revocation lists may end earlier. */
export interface Path {
  /** From the certificate to the trust anchor. */
  readonly certificates: readonly Certificate[]
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly until: number
}

export type Found = Path | { readonly refusal: PathRefusal }

/** Finds issuers by their name, {@link Name.key}. */
export interface Issuers {
  isAnchor(certificate: Certificate): boolean
  /** Configured trust anchors and issuing CAs. */
  configured(subject: string): readonly Certificate[]
  /** Certificates that strangers may have made up. */
  others(subject: string): readonly Certificate[]
}

export interface RevocationRules {
  /** @param path from a certificate to a trust anchor, valid apart from revocation */
  refusalOf(path: readonly Certificate[], search: PathSearch): Promise<PathRefusal | undefined>
}

export interface SearchRules {
  readonly issuers: Issuers
  readonly checks: SearchChecks
  /** Undefined: revocation is not checked. */
  readonly revocation?: RevocationRules | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** By the issuer's key, because a CA may have any number of certificates for one key. */
const questionOf = ({ fingerprint }: Signed, { spki }: Certificate): string =>
  `${fingerprint} ${spki.toString('latin1')}`

/** The checks for one client, in all its searches. Each is made once. */
export class ClientChecks {
  readonly rules: SignatureRules
  readonly names: NameMemory
  readonly giveWay: GiveWay
  readonly #made = new Map<string, Promise<boolean>>()
  /** The time of the checks, in milliseconds of a core. */
  costMs = 0

  constructor(rules: SignatureRules, giveWay: GiveWay) {
    this.rules = rules
    this.giveWay = giveWay
    this.names = new NameMemory(giveWay)
  }

  get made(): number {
    return this.#made.size
  }

  verify(signed: Signed, issuer: Certificate): Promise<boolean> {
    const question = questionOf(signed, issuer)
    const known = this.#made.get(question)
    if (known !== undefined) return known
    this.costMs += this.rules.costMs(issuer)
    const check = this.rules.verify(signed, issuer)
    this.#made.set(question, check)
    return check
  }
}

/**
 * The checks of one search. Checks with keys that are not configured are bounded, because anyone can make up any number
 * of certificates.
 */
export class SearchChecks {
  readonly names: NameChecks
  readonly #memory: ClientChecks
  readonly #counted = new Set<string>()
  #costMs = 0
  #isExhausted = false

  constructor(memory: ClientChecks) {
    this.#memory = memory
    this.names = new NameChecks(memory.names)
  }

  /** Whether a check was left out, so that a path may have been missed. */
  get isExhausted(): boolean {
    return this.#isExhausted || this.names.isExhausted
  }

  giveUp(): void {
    this.#isExhausted = true
  }

  giveWay(): Promise<void> {
    return this.#memory.giveWay()
  }

  isStrong(certificate: Certificate): boolean {
    return this.#memory.rules.isStrong(certificate)
  }

  /** Whether `issuer` signed it. False beyond the bound. */
  verify(signed: Signed, issuer: Certificate, isConfigured: boolean): Promise<boolean> {
    return isConfigured || this.#mayCheck(signed, issuer) ? this.#memory.verify(signed, issuer) : Promise.resolve(false)
  }

  #mayCheck(signed: Signed, issuer: Certificate): boolean {
    const question = questionOf(signed, issuer)
    if (this.#counted.has(question)) return true
    const costMs = this.#memory.rules.costMs(issuer)
    const mayCheck = this.#counted.size < MAX_SIGNATURE_CHECKS && this.#costMs + costMs <= MAX_COST_MS
    if (mayCheck) {
      this.#counted.add(question)
      this.#costMs += costMs
    } else this.giveUp()
    return mayCheck
  }
}

/** Searches paths for one verdict. Its limits ensure that made-up certificates cost no more than real ones. */
export class PathSearch {
  readonly rules: SearchRules
  /** Signers of revocation lists whose paths are being searched for another certificate. */
  readonly inQuestion = new Set<Certificate>()
  #steps = 0

  constructor(rules: SearchRules) {
    this.rules = rules
  }

  /** A path from `certificate` to a trust anchor that RFC 5280 allows and no revocation list forbids. */
  async find(certificate: Certificate, usage: Usage): Promise<Found> {
    const flaw =
      flawOf(certificate, this.rules.now) ??
      usageFlawOf(certificate, usage) ??
      (this.rules.checks.isStrong(certificate) ? undefined : 'KEY_NOT_ALLOWED')
    if (flaw !== undefined) return { refusal: flaw }
    const attempt = new Attempt(usage)
    const path = await this.#climb([certificate], attempt)
    return path ?? { refusal: this.rules.checks.isExhausted ? 'SEARCH_TOO_LONG' : attempt.refusal }
  }

  /** @param path the path so far; it searches the issuer of the last certificate */
  async #climb(path: readonly Certificate[], attempt: Attempt): Promise<Path | undefined> {
    const top = path.at(-1) as Certificate
    const { issuers, checks, now } = this.rules
    if (issuers.isAnchor(top)) return this.#judge(path, attempt)
    for (const issuer of likelyFirst(top, issuers)) {
      await checks.giveWay()
      const isConfigured = issuers.configured(issuer.subject.key).includes(issuer)
      if (path.length === MAX_PATH_LENGTH || (!isConfigured && (this.#steps += 1) > MAX_STEPS)) {
        checks.giveUp()
        continue
      }
      // A key that is already in the path leads nowhere new (RFC 4158 section 2.4.2).
      if (path.some((other) => isSameEntity(other, issuer))) continue
      const flaw =
        issuerFlawOf(issuer, issuers.isAnchor(issuer)) ??
        flawOf(issuer, now) ??
        (checks.isStrong(issuer) ? undefined : 'KEY_NOT_ALLOWED')
      if (flaw !== undefined) attempt.note(flaw, path.length)
      else if (!(await checks.verify(top, issuer, isConfigured))) attempt.note('SIGNATURE_INVALID', path.length)
      else {
        const found = await this.#climb([...path, issuer], attempt)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  async #judge(path: readonly Certificate[], attempt: Attempt): Promise<Path | undefined> {
    const { checks, now, revocation } = this.rules
    await checks.giveWay()
    const flaw = (await pathFlawOf(path, attempt.usage, checks.names, now)) ?? (await revocation?.refusalOf(path, this))
    // A list may have been skipped, and then nothing is known.
    const isUnread = revocation !== undefined && checks.isExhausted
    const refusal = flaw ?? (isUnread ? 'SEARCH_TOO_LONG' : undefined)
    if (refusal !== undefined) {
      attempt.note(refusal, Infinity)
      return undefined
    }
    return {
      certificates: path,
      from: Math.max(...path.map(({ notBefore }) => notBefore)),
      until: Math.min(...path.map(({ notAfter }) => notAfter)),
    }
  }
}

/** The best explanation of why one search found nothing: that of the attempt that came nearest to a trust anchor. */
class Attempt {
  readonly usage: Usage
  refusal: PathRefusal = 'ISSUER_UNKNOWN'
  #nearest = 0

  constructor(usage: Usage) {
    this.usage = usage
  }

  note(refusal: PathRefusal, length: number): void {
    if (length <= this.#nearest) return
    this.#nearest = length
    this.refusal = refusal
  }
}

const isSameEntity = (one: Certificate, other: Certificate): boolean =>
  one.subject.key === other.subject.key && one.spki.equals(other.spki)

interface Issued {
  readonly issuer: Name
  readonly authorityKeyId?: string | undefined
}

/**
 * The possible issuers of a certificate or a list, in order: those that it names by key, then trust anchors, configured
 * CAs, and all others.
 */
export function likelyFirst({ issuer: { key }, authorityKeyId }: Issued, issuers: Issuers): readonly Certificate[] {
  const configured = issuers.configured(key)
  const fingerprints = new Set(configured.map(({ fingerprint }) => fingerprint))
  const named = [...configured, ...issuers.others(key).filter(({ fingerprint }) => !fingerprints.has(fingerprint))]
  const rank = (issuer: Certificate): number => {
    const isUnlikely =
      authorityKeyId !== undefined && issuer.subjectKeyId !== undefined && issuer.subjectKeyId !== authorityKeyId
    return Number(isUnlikely) * 2 + Number(!issuers.isAnchor(issuer))
  }
  return named.length < 2 ? named : named.toSorted((one, other) => rank(one) - rank(other))
}
