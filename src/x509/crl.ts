import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Certificate } from './certificate.ts'
import { booleanOf, context, countOf, DerError, DerReader, elementsOf, tags, timeOf, wholeBytesOf } from './der.ts'
import { ALL_REASONS, pointNamesOf, reasonsOf, type DistributionPoint } from './distribution-points.ts'
import { authorityKeyIdOf, extensionsOf } from './extensions.ts'
import { generalNamesOf, isSameName, nameOf, type GeneralName, type Name } from './names.ts'
import type { Signed } from './signature.ts'

/** Extensions of lists and entries (RFC 5280 sections 5.2 and 5.3) by object identifier. */
const oids = {
  cRLNumber: '2.5.29.20',
  cRLReason: '2.5.29.21',
  deltaCRLIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  certificateIssuer: '2.5.29.29',
  authorityKeyIdentifier: '2.5.29.35',
} as const

const REMOVE_FROM_CRL = 8
/** Milliseconds for which entries are read at a time, so that a long list does not hold up the event loop. */
const SLICE_MS = 1

interface IssuingDistributionPoint {
  readonly encoding: Buffer
  readonly names?: readonly GeneralName[]
  readonly onlyContainsUserCerts: boolean
  readonly onlyContainsCACerts: boolean
  readonly onlyContainsAttributeCerts: boolean
  readonly indirectCRL: boolean
  readonly reasons: number
}

/** Why a list does not say, of certificates of its issuer, whether they were revoked. */
export type ListFlaw =
  | 'NOT_YET_VALID'
  | 'EXPIRED'
  | 'CRITICAL_EXTENSION_UNKNOWN'
  | 'ONLY_ATTRIBUTE_CERTIFICATES'
  | 'ONLY_CA_CERTIFICATES'
  | 'NO_CA_CERTIFICATES'
  /** It covers some reasons for revocation only. */
  | 'SOME_REASONS'

/** What a list says about a certificate that it contains. */
export type Entry = 'revoked' | 'removed'

/** A certificate revocation list (RFC 5280 section 5). */
export class RevocationList implements Signed {
  readonly fingerprint: string
  readonly tbs: Buffer
  readonly signatureAlgorithm: Buffer
  readonly signature: Buffer
  readonly issuer: Name
  /** Milliseconds since the epoch. */
  readonly thisUpdate: number
  readonly nextUpdate: number
  /** Hexadecimal. */
  readonly authorityKeyId: string | undefined
  readonly number: bigint | undefined
  /** True if it adds to a complete list. */
  readonly isDelta: boolean = false
  /** Of a delta list: the number of the complete list from which on it can be added (RFC 5280 section 5.2.4). */
  readonly #base: bigint | undefined
  readonly #point: IssuingDistributionPoint | undefined
  readonly #entries: Buffer
  #hasUnknownCriticalExtension = false
  #index: Promise<ReadonlyMap<string, Entry>> | undefined

  /**
   * The entries are read when one is first asked for.
   * @throws DerError
   */
  constructor(der: Buffer) {
    const whole = new DerReader(der)
    const outer = whole.sequence()
    whole.end()
    const signed = outer.element(tags.sequence)
    this.tbs = signed.encoding
    this.signatureAlgorithm = outer.element(tags.sequence).encoding
    this.signature = wholeBytesOf(outer.take(tags.bitString))
    outer.end()
    this.fingerprint = createHash('sha256').update(der).digest('hex')

    const tbs = new DerReader(signed.content)
    const version = tbs.optional(tags.integer)
    if (version !== undefined && countOf(version) !== 1) throw new DerError('a list has version 1 or 2')
    if (!tbs.element(tags.sequence).encoding.equals(this.signatureAlgorithm)) {
      throw new DerError('the two signature algorithms differ')
    }
    this.issuer = nameOf(tbs.take(tags.sequence))
    this.thisUpdate = timeOf(tbs.next())
    const isDated = tbs.tag === tags.utcTime || tbs.tag === tags.generalizedTime
    if (!isDated) throw new DerError('a list has no nextUpdate, which RFC 5280 section 5.1.2.5 requires')
    this.nextUpdate = timeOf(tbs.next())
    this.#entries = tbs.optional(tags.sequence) ?? Buffer.alloc(0)
    const extensions = tbs.optional(context(0, true))
    tbs.end()
    if (extensions === undefined) return

    for (const { oid, critical, value } of extensionsOf(new DerReader(extensions).take(tags.sequence))) {
      if (oid === oids.cRLNumber) this.number = numberOf(value)
      else if (oid === oids.deltaCRLIndicator) [this.isDelta, this.#base] = [true, numberOf(value)]
      else if (oid === oids.authorityKeyIdentifier) this.authorityKeyId = authorityKeyIdOf(value)
      else if (oid === oids.issuingDistributionPoint) this.#point = issuingPointOf(value, this.issuer)
      else if (critical) this.#hasUnknownCriticalExtension = true
    }
  }

  isCurrent(now: number): boolean {
    return this.thisUpdate <= now && now <= this.nextUpdate
  }

  /** Whether it may cover certificates of other issuers. */
  get isIndirect(): boolean {
    return this.#point?.indirectCRL === true
  }

  /**
   * Why it covers no certificate of this kind at `now`, or not for all reasons. Undefined if it may cover all. What it
   * never covers comes before its dates.
   */
  flawFor(certificates: 'client' | 'ca', now: number): ListFlaw | undefined {
    const scope = this.#scopeFlaw(certificates)
    if (scope !== undefined) return scope
    if (now < this.thisUpdate) return 'NOT_YET_VALID'
    if (now > this.nextUpdate) return 'EXPIRED'
    return this.#point === undefined || this.#point.reasons === ALL_REASONS ? undefined : 'SOME_REASONS'
  }

  /** Why it covers no certificate of this kind at any time. */
  #scopeFlaw(certificates: 'client' | 'ca'): ListFlaw | undefined {
    if (this.#hasUnknownCriticalExtension) return 'CRITICAL_EXTENSION_UNKNOWN'
    const point = this.#point
    if (point?.onlyContainsAttributeCerts) return 'ONLY_ATTRIBUTE_CERTIFICATES'
    if (certificates === 'client' && point?.onlyContainsCACerts) return 'ONLY_CA_CERTIFICATES'
    return certificates === 'ca' && point?.onlyContainsUserCerts ? 'NO_CA_CERTIFICATES' : undefined
  }

  /** The most reasons, as bits, for which it covers a certificate of this kind at `now`. */
  reasonsAtMost(certificates: 'client' | 'ca', now: number): number {
    const flaw = this.flawFor(certificates, now)
    return flaw === undefined || flaw === 'SOME_REASONS' ? (this.#point?.reasons ?? ALL_REASONS) : 0
  }

  /**
   * The reasons, as bits, for which this list says whether `certificate` was revoked, if `point` names the list (RFC
   * 5280 section 6.3.3 (b) and (d)). 0 if it does not cover the certificate.
   */
  reasonsFor({ issuer, basicConstraints }: Certificate, point: DistributionPoint): number {
    const { cRLIssuer } = point
    const own = this.#point
    const self: GeneralName = { kind: 'directory', name: this.issuer }
    const isIssuer =
      cRLIssuer === undefined
        ? this.issuer.key === issuer.key
        : own?.indirectCRL === true && cRLIssuer.some((name) => isSameName(name, self))
    if (!isIssuer || this.#scopeFlaw(basicConstraints?.cA === true ? 'ca' : 'client') !== undefined) return 0
    if (own === undefined) return point.reasons ?? ALL_REASONS
    const names = point.names ?? cRLIssuer ?? []
    if (own.names && !own.names.some((name) => names.some((other) => isSameName(name, other)))) return 0
    return own.reasons & (point.reasons ?? ALL_REASONS)
  }

  /** Whether it is a later list of the same issuer for the same certificates, or adds to `other`. */
  isNewerThan(other: RevocationList): boolean {
    const [one, two] = [this.#point?.encoding, other.#point?.encoding]
    const isSame = one === undefined || two === undefined ? one === two : one.equals(two)
    const isLater =
      this.number === undefined || other.number === undefined
        ? this.thisUpdate > other.thisUpdate
        : this.number > other.number
    const follows =
      this.#base === undefined || other.isDelta || (other.number !== undefined && this.#base <= other.number)
    return isSame && isLater && follows && this.issuer.key === other.issuer.key && !this.#hasUnknownCriticalExtension
  }

  /**
   * What the list says about a certificate. Undefined if the list does not contain it.
   * @throws DerError
   */
  async entryFor({ issuer, serialNumber }: Certificate): Promise<Entry | undefined> {
    return (await this.#entriesById()).get(idOf(issuer.key, serialNumber))
  }

  /**
   * Reads the entries before the first question.
   * @throws DerError
   */
  async prepare(): Promise<number> {
    return (await this.#entriesById()).size
  }

  #entriesById(): Promise<ReadonlyMap<string, Entry>> {
    return (this.#index ??= this.#read())
  }

  async #read(): Promise<ReadonlyMap<string, Entry>> {
    const index = new Map<string, Entry>()
    let issuer = this.issuer.key
    let slice = performance.now()
    for (const { content } of elementsOf(this.#entries, Infinity)) {
      if (performance.now() - slice > SLICE_MS) {
        await setImmediate()
        slice = performance.now()
      }
      const reader = new DerReader(content)
      const serialNumber = reader.take(tags.integer).toString('hex')
      timeOf(reader.next())
      const extensions = reader.optional(tags.sequence)
      reader.end()
      const said = extensions === undefined ? {} : entryExtensionsOf(extensions)
      // RFC 5280 section 5.3.3: it also applies to the entries after this one.
      if (said.issuer !== undefined) issuer = said.issuer
      index.set(idOf(issuer, serialNumber), said.isRemoved ? 'removed' : 'revoked')
    }
    return index
  }
}

/** The id of the certificate that an entry is about. */
const idOf = (issuer: string, serialNumber: string): string => `${serialNumber} ${issuer}`

const numberOf = (value: Buffer): bigint => {
  const content = new DerReader(value).take(tags.integer)
  return BigInt(`0x${content.toString('hex') || '0'}`)
}

/** An entry with an unknown critical extension invalidates the whole list, because its meaning is not known. */
function entryExtensionsOf(content: Buffer): { readonly issuer?: string; readonly isRemoved?: boolean } {
  let issuer: string | undefined
  let isRemoved = false
  for (const { oid, critical, value } of extensionsOf(content)) {
    if (oid === oids.cRLReason) isRemoved = countOf(new DerReader(value).take(tags.enumerated)) === REMOVE_FROM_CRL
    else if (oid === oids.certificateIssuer) {
      const names = generalNamesOf(new DerReader(value).take(tags.sequence))
      const [directory] = names.flatMap((name) => (name.kind === 'directory' ? [name.name.key] : []))
      if (directory === undefined) throw new DerError('an entry names no issuer that can be compared')
      issuer = directory
    } else if (critical) throw new DerError('an entry has an unknown critical extension')
  }
  return { isRemoved, ...(issuer !== undefined && { issuer }) }
}

function issuingPointOf(value: Buffer, issuer: Name): IssuingDistributionPoint {
  const reader = new DerReader(new DerReader(value).take(tags.sequence))
  const flag = (number: number) => booleanOf(reader.optional(context(number)) ?? Buffer.of(0))
  const name = reader.optional(context(0, true))
  const onlyContainsUserCerts = flag(1)
  const onlyContainsCACerts = flag(2)
  const reasons = reader.optional(context(3))
  const indirectCRL = flag(4)
  const onlyContainsAttributeCerts = flag(5)
  reader.end()
  return {
    encoding: value,
    ...(name && { names: pointNamesOf(name, issuer) }),
    onlyContainsUserCerts,
    onlyContainsCACerts,
    onlyContainsAttributeCerts,
    indirectCRL,
    reasons: reasons === undefined ? ALL_REASONS : reasonsOf(reasons),
  }
}
