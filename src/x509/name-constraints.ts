import type { NameConstraints } from './extensions.ts'
import type { Certificate } from './certificate.ts'
import { isAscii, type GeneralName, type Name, type Rdn } from './names.ts'

/**
 * A common name that looks like a host name. Allow-lists compare common names, so constraints on host names apply to
 * them.
 */
const HOST_NAME = /^(?=.{1,254}$)(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})+\.?$/i

/** Whether the constraints of every CA above it allow the names of `certificate` (RFC 5280 section 6.1.4 (g)). */
export function namesAllowed(certificate: Certificate, constraints: readonly NameConstraints[]): boolean {
  if (constraints.length === 0) return true
  const names = namesOf(certificate)
  return constraints.every(({ permitted, excluded }) =>
    names.every((name) => {
      if (excluded.some((subtree) => isSameForm(subtree, name) && mayBeWithin(name, subtree))) return false
      const sameForm = permitted.filter((subtree) => isSameForm(subtree, name))
      return sameForm.length === 0 || sameForm.some((subtree) => isWithin(name, subtree) === true)
    }),
  )
}

function namesOf({ subject, subjectAltName }: Certificate): GeneralName[] {
  const names: GeneralName[] = [...subjectAltName]
  if (subject.rdns.length > 0) names.push({ kind: 'directory', name: subject })
  for (const text of subject.emailAddresses) names.push({ kind: 'rfc822', text })
  for (const text of subject.commonNames) if (HOST_NAME.test(text)) names.push({ kind: 'dns', text })
  return names
}

const isSameForm = (one: GeneralName, other: GeneralName): boolean =>
  one.kind === other.kind && (one.kind !== 'other' || (other.kind === 'other' && one.tag === other.tag))

/** A form of name that cannot be compared counts as excluded, and never as permitted. */
const mayBeWithin = (name: GeneralName, subtree: GeneralName): boolean => isWithin(name, subtree) !== false

/** Undefined if it cannot be decided. */
function isWithin(name: GeneralName, subtree: GeneralName): boolean | undefined {
  if (name.kind === 'directory' && subtree.kind === 'directory') return isBelow(name.name, subtree.name)
  if (name.kind === 'ip' && subtree.kind === 'ip') return isInNetwork(name.bytes, subtree.bytes)
  if (!('text' in name) || !('text' in subtree)) return undefined
  // All of these are IA5Strings.
  if (!isAscii(name.text)) return undefined
  const [text, base] = [name.text.toLowerCase(), subtree.text.toLowerCase()]
  switch (name.kind) {
    case 'dns':
      return isInDomain(withoutDot(text), withoutDot(base))
    case 'rfc822':
      return isMailboxWithin(text, base)
    case 'uri':
      return isHostWithin(hostOf(text), base)
  }
}

/** Undefined if the answer depends on values that cannot be compared. */
function isBelow({ rdns }: Name, base: Name): boolean | undefined {
  const parts = base.rdns.map((rdn, index) => isSameRdn(rdn, rdns[index]))
  if (parts.includes(false)) return false
  return parts.includes(undefined) ? undefined : true
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
  return address.every((byte, index) => {
    const mask = network[address.length + index] ?? 0xff
    return (byte & mask) === ((network[index] ?? 0) & mask)
  })
}

const withoutDot = (name: string) => name.replace(/\.$/, '')

/** A name is in its own domain. As in OpenSSL, a leading dot of the domain excludes the domain itself. */
function isInDomain(name: string, domain: string): boolean {
  if (domain === '' || name === domain) return true
  return name.endsWith(domain.startsWith('.') ? domain : `.${domain}`)
}

/**
 * RFC 5280 section 4.2.1.10: one mailbox, all mailboxes of a host, or, with a leading dot, of all hosts of a domain.
 */
function isMailboxWithin(mailbox: string, base: string): boolean | undefined {
  const at = mailbox.lastIndexOf('@')
  if (at < 1) return undefined
  if (base.includes('@')) return mailbox === base
  return isHostWithin(mailbox.slice(at + 1), base)
}

function isHostWithin(host: string | undefined, base: string): boolean | undefined {
  if (host === undefined || host === '') return undefined
  return base === '' || (base.startsWith('.') ? host.endsWith(base) && host !== base : host === base)
}

/** Undefined for a URI without a host name. RFC 5280 says that a constraint on URIs refuses it. */
function hostOf(uri: string): string | undefined {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]
  const host = authority?.slice(authority.lastIndexOf('@') + 1).replace(/:\d*$/, '')
  return host === undefined || host.startsWith('[') || /^[\d.]+$/.test(host) ? undefined : host
}
