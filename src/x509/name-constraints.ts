import { groupedBy, remembered } from './remembered.ts'
import type { GiveWay } from './give-way.ts'
import type { NameConstraints } from './extensions.ts'
import type { Certificate } from './certificate.ts'
import { isAscii, type GeneralName, type Name, type Rdn } from './names.ts'

/**
 * A common name that looks like a host name. Allow-lists compare common names, so constraints on host names apply to
 * them.
 */
const HOST_NAME = /^(?=.{1,254}$)(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+\.?$/i

/**
 * The most comparisons of a name with a subtree for one search. A certificate of 16 KiB holds 256 of either, and a client
 * may send eight. A CA with 256 subtrees above a certificate with 60 names takes 16,000.
 */
const MAX_COMPARISONS = 20_000

/** Name constraints that were checked for one client. Each certificate is compared with each CA's constraints once. */
export class NameMemory {
  readonly #giveWay: GiveWay
  readonly #names = new Map<Certificate, readonly Comparable[]>()
  readonly #subtrees = new Map<NameConstraints, Subtrees>()
  readonly #allowed = new Map<NameConstraints, Map<Certificate, boolean>>()

  constructor(giveWay: GiveWay) {
    this.#giveWay = giveWay
  }

  costOf(certificate: Certificate, constraints: NameConstraints): number {
    return this.#namesOf(certificate).length * this.#subtreesOf(constraints).cost
  }

  async allow(certificate: Certificate, constraints: NameConstraints): Promise<boolean> {
    const known = remembered(this.#allowed, constraints, () => new Map<Certificate, boolean>())
    const before = known.get(certificate)
    if (before !== undefined) return before
    const { permitted, excluded } = this.#subtreesOf(constraints)
    let allowed = true
    for (const name of this.#namesOf(certificate)) {
      await this.#giveWay()
      if (!(allowed = isAllowed(name, permitted, excluded))) break
    }
    known.set(certificate, allowed)
    return allowed
  }

  #namesOf(certificate: Certificate): readonly Comparable[] {
    return remembered(this.#names, certificate, () => namesOf(certificate).map(comparableOf))
  }

  #subtreesOf(constraints: NameConstraints): Subtrees {
    return remembered(this.#subtrees, constraints, () => subtreesOf(constraints))
  }
}

/** The name constraints of one search. Their cost is bounded, because a CA below a trust anchor can make up any number. */
export class NameChecks {
  readonly #memory: NameMemory
  readonly #counted = new Map<NameConstraints, Set<Certificate>>()
  #comparisons = 0
  isExhausted = false

  constructor(memory: NameMemory) {
    this.#memory = memory
  }

  /**
   * Whether the constraints of every CA above it allow the names of `certificate` (RFC 5280 section 6.1.4 (g)). False
   * beyond the bound.
   */
  async allow(certificate: Certificate, constraints: readonly NameConstraints[]): Promise<boolean> {
    for (const one of constraints) {
      if (!this.#mayCompare(certificate, one) || !(await this.#memory.allow(certificate, one))) return false
    }
    return true
  }

  #mayCompare(certificate: Certificate, constraints: NameConstraints): boolean {
    const counted = remembered(this.#counted, constraints, () => new Set<Certificate>())
    if (counted.has(certificate)) return true
    const cost = this.#memory.costOf(certificate, constraints)
    if (this.#comparisons + cost > MAX_COMPARISONS) {
      this.isExhausted = true
      return false
    }
    counted.add(certificate)
    this.#comparisons += cost
    return true
  }
}

function namesOf({ subject, subjectAltName }: Certificate): GeneralName[] {
  const names: GeneralName[] = [...subjectAltName]
  if (subject.rdns.length > 0) names.push({ kind: 'directory', name: subject })
  for (const text of subject.emailAddresses) names.push({ kind: 'rfc822', text })
  for (const text of subject.commonNames) if (HOST_NAME.test(text)) names.push({ kind: 'dns', text })
  return names
}

/** A name or a subtree, prepared once for many comparisons: a text can be thousands of characters long. */
interface Comparable {
  readonly kind: GeneralName['kind']
  /** Of a form of name that is not known. */
  readonly tag?: number
  /** In lower case. Undefined if the name cannot be compared: all of these are IA5Strings. */
  readonly text?: string | undefined
  /** Of a mailbox or a URI. */
  readonly host?: string | undefined
  readonly name?: Name
  readonly bytes?: Buffer
}

function comparableOf(name: GeneralName): Comparable {
  const { kind } = name
  if (kind === 'directory' || kind === 'ip' || kind === 'other') return name
  if (!isAscii(name.text)) return { kind }
  const text = name.text.toLowerCase()
  if (kind === 'dns') return { kind, text: withoutDot(text) }
  return { kind, text, host: kind === 'uri' ? hostOf(text) : hostOfMailbox(text) }
}

/** The subtrees of one CA, by the kind of name. */
interface Subtrees {
  readonly permitted: ReadonlyMap<string, readonly Comparable[]>
  readonly excluded: ReadonlyMap<string, readonly Comparable[]>
  /** Of a comparison with all of them, where one subtree is 1, and a directory name one for each of its parts. */
  readonly cost: number
}

function subtreesOf({ permitted, excluded }: NameConstraints): Subtrees {
  const partsOf = (subtree: GeneralName) => (subtree.kind === 'directory' ? subtree.name.rdns.length : 1)
  const byForm = (subtrees: readonly GeneralName[]) => groupedBy(subtrees.map(baseOf), formOf)
  return {
    permitted: byForm(permitted),
    excluded: byForm(excluded),
    cost: [...permitted, ...excluded].reduce((sum, subtree) => sum + Math.max(1, partsOf(subtree)), 0),
  }
}

/** A text that is not ASCII is compared, too: it is equal to no name. */
function baseOf(subtree: GeneralName): Comparable {
  if (!('text' in subtree)) return subtree
  const text = subtree.text.toLowerCase()
  return { kind: subtree.kind, text: subtree.kind === 'dns' ? withoutDot(text) : text }
}

const withoutDot = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name)

const formOf = ({ kind, tag }: Comparable): string => (tag === undefined ? kind : `${kind} ${tag}`)

function isAllowed(name: Comparable, permitted: Subtrees['permitted'], excluded: Subtrees['excluded']): boolean {
  const form = formOf(name)
  // A form of name that cannot be compared counts as excluded, and never as permitted.
  if (excluded.get(form)?.some((subtree) => isWithin(name, subtree) !== false)) return false
  return permitted.get(form)?.some((subtree) => isWithin(name, subtree) === true) ?? true
}

/** Both are of the same form. Undefined if it cannot be decided. */
function isWithin(name: Comparable, subtree: Comparable): boolean | undefined {
  if (name.name && subtree.name) return isBelow(name.name, subtree.name)
  if (name.kind === 'ip' && name.bytes && subtree.bytes) return isInNetwork(name.bytes, subtree.bytes)
  if (name.text === undefined || subtree.text === undefined) return undefined
  if (name.kind === 'dns') return isInDomain(name.text, subtree.text)
  return name.kind === 'rfc822' ? isMailboxWithin(name, subtree.text) : isHostWithin(name.host, subtree.text)
}

/** Undefined if the answer depends on values that cannot be compared. */
function isBelow({ rdns }: Name, base: Name): boolean | undefined {
  let isSettled = true
  for (const [index, rdn] of base.rdns.entries()) {
    const isSame = isSameRdn(rdn, rdns[index])
    if (isSame === false) return false
    isSettled &&= isSame === true
  }
  return isSettled ? true : undefined
}

function isSameRdn(one: Rdn, other: Rdn | undefined): boolean | undefined {
  if (other === undefined || one.types !== other.types) return false
  if (one.key === other.key) return true
  return one.isOpaque || other.isOpaque ? undefined : false
}

/** `network` is an address and a mask of the same length. */
function isInNetwork(address: Buffer, network: Buffer): boolean | undefined {
  if (network.length !== 8 && network.length !== 32) return undefined
  if (network.length !== 2 * address.length) return false
  // A certificate can ask for 20,000 comparisons, and a function for each byte would take most of their time.
  for (let index = 0; index < address.length; index += 1) {
    const mask = network[address.length + index] ?? 0xff
    if (((address[index] ?? 0) & mask) !== ((network[index] ?? 0) & mask)) return false
  }
  return true
}

/** A name is in its own domain. As in OpenSSL, a leading dot of the domain excludes the domain itself. */
function isInDomain(name: string, domain: string): boolean {
  if (domain === '' || name === domain) return true
  if (!name.endsWith(domain)) return false
  return domain.startsWith('.') || name[name.length - domain.length - 1] === '.'
}

/**
 * RFC 5280 section 4.2.1.10: one mailbox, all mailboxes of a host, or, with a leading dot, of all hosts of a domain.
 */
function isMailboxWithin({ text, host }: Comparable, base: string): boolean | undefined {
  if (host === undefined) return undefined
  return base.includes('@') ? text === base : isHostWithin(host, base)
}

function isHostWithin(host: string | undefined, base: string): boolean | undefined {
  if (host === undefined || host === '') return undefined
  return base === '' || (base.startsWith('.') ? host.endsWith(base) && host !== base : host === base)
}

/** Undefined for a text that is no mailbox. */
function hostOfMailbox(mailbox: string): string | undefined {
  const at = mailbox.lastIndexOf('@')
  return at < 1 ? undefined : mailbox.slice(at + 1)
}

/** Undefined for a URI without a host name. RFC 5280 says that a constraint on URIs refuses it. */
function hostOf(uri: string): string | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]
  const host = authority?.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, '')
  return host === undefined || host.startsWith('[') || /^[\d.]+$/.test(host) ? undefined : host
}
