import type { Certificate } from './certificate.ts'
import type { Name } from './names.ts'
import { flawOf, issuerFlawOf, pathFlawOf, usageFlawOf, type PathRefusal, type Usage } from './path.ts'
import type { Signed, SignatureRules } from './signature.ts'

/** Certificates from the first to the trust anchor. */
const MAX_PATH_LENGTH = 10
/**
 * Signature checks with keys of certificates that nobody configured, for one search, and what they may take of a core, in
 * milliseconds. A real search takes two to four checks, of 0.1 ms each, or 1.5 ms with P-521.
 */
const MAX_SIGNATURE_CHECKS = 16
const MAX_COST_MS = 8
/** Issuers that nobody configured, and that are looked at for one search. */
const MAX_STEPS = 200

/** A path that holds, and for how long by the dates of its certificates. What revocation lists say may end before. */
export interface Path {
  /** From the certificate to the trust anchor. */
  readonly certificates: readonly Certificate[]
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly until: number
}

export type Found = Path | { readonly refusal: PathRefusal }

/** Where issuers are looked for, by their name, {@link Name.key}. */
export interface Issuers {
  isAnchor(certificate: Certificate): boolean
  /** Trust anchors and issuing CAs that the operator named. */
  configured(subject: string): readonly Certificate[]
  /** What strangers may have made up. */
  others(subject: string): readonly Certificate[]
}

export interface RevocationRules {
  /** @param path from a certificate to a trust anchor, valid but for revocation */
  refusalOf(path: readonly Certificate[], search: PathSearch): Promise<PathRefusal | undefined>
}

export interface SearchRules {
  readonly issuers: Issuers
  readonly signatures: SignatureChecks
  /** Without it, revocation is not looked at. */
  readonly revocation?: RevocationRules | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** By the issuer's key: a CA may have any number of certificates for one. */
const questionOf = ({ fingerprint }: Signed, { spki }: Certificate): string =>
  `${fingerprint} ${spki.toString('latin1')}`

/** The signature checks on behalf of one client: each is made once. */
export class SignatureMemory {
  readonly rules: SignatureRules
  readonly #made = new Map<string, Promise<boolean>>()
  /** What they take, in milliseconds of a core. */
  costMs = 0

  constructor(rules: SignatureRules) {
    this.rules = rules
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

/** The signature checks of one search. With keys that nobody configured they are bounded: others can make up any number. */
export class SignatureChecks {
  readonly #memory: SignatureMemory
  readonly #counted = new Set<string>()
  #costMs = 0
  isExhausted = false

  constructor(memory: SignatureMemory) {
    this.#memory = memory
  }

  isStrong(certificate: Certificate): boolean {
    return this.#memory.rules.isStrong(certificate)
  }

  /** Whether `issuer` signed it; false beyond the bound. */
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
    } else this.isExhausted = true
    return mayCheck
  }
}

/** Searches paths for one verdict. It has bounds, so that what others made up costs no more than what is real. */
export class PathSearch {
  readonly rules: SearchRules
  /** Of revocation lists' signers, which are searched on behalf of another certificate. */
  readonly inQuestion = new Set<Certificate>()
  #steps = 0

  constructor(rules: SearchRules) {
    this.rules = rules
  }

  /** A path from `certificate` to a trust anchor that RFC 5280 allows, and that no revocation list forbids. */
  async find(certificate: Certificate, usage: Usage): Promise<Found> {
    const flaw =
      flawOf(certificate, this.rules.now) ??
      usageFlawOf(certificate, usage) ??
      (this.rules.signatures.isStrong(certificate) ? undefined : 'KEY_NOT_ALLOWED')
    if (flaw !== undefined) return { refusal: flaw }
    const attempt = new Attempt(usage)
    const path = await this.#climb([certificate], attempt)
    return path ?? { refusal: this.rules.signatures.isExhausted ? 'SEARCH_TOO_LONG' : attempt.refusal }
  }

  /** @param path what is found so far; the last one's issuer is looked for */
  async #climb(path: readonly Certificate[], attempt: Attempt): Promise<Path | undefined> {
    const top = path.at(-1) as Certificate
    const { issuers, signatures, now } = this.rules
    if (issuers.isAnchor(top)) return this.#judge(path, attempt)
    for (const issuer of likelyFirst(top, issuers)) {
      const isConfigured = issuers.configured(issuer.subject.key).includes(issuer)
      if (path.length === MAX_PATH_LENGTH || (!isConfigured && (this.#steps += 1) > MAX_STEPS)) {
        signatures.isExhausted = true
        continue
      }
      // A key that is in the path already leads nowhere new (RFC 4158 section 2.4.2).
      if (path.some((other) => isSameEntity(other, issuer))) continue
      const flaw =
        issuerFlawOf(issuer, issuers.isAnchor(issuer)) ??
        flawOf(issuer, now) ??
        (signatures.isStrong(issuer) ? undefined : 'KEY_NOT_ALLOWED')
      if (flaw !== undefined) attempt.note(flaw, path.length)
      else if (!(await signatures.verify(top, issuer, isConfigured))) attempt.note('SIGNATURE_INVALID', path.length)
      else {
        const found = await this.#climb([...path, issuer], attempt)
        if (found !== undefined) return found
      }
    }
    return undefined
  }

  async #judge(path: readonly Certificate[], attempt: Attempt): Promise<Path | undefined> {
    const { now, revocation } = this.rules
    const flaw = pathFlawOf(path, attempt.usage, now) ?? (await revocation?.refusalOf(path, this))
    // A list may have gone unread: then nothing is known.
    const isUnread = revocation !== undefined && this.rules.signatures.isExhausted
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

/** One search's best explanation of why nothing was found: of what came nearest to a trust anchor. */
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
 * Who may have issued a certificate, or a list: those that it names by key before others, then trust anchors, configured
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
