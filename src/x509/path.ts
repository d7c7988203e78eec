import type { NameConstraints } from './extensions.ts'
import type { Certificate } from './certificate.ts'
import { namesAllowed } from './name-constraints.ts'
import { PolicyState } from './policies.ts'

/** Why there is no path. */
export type PathRefusal =
  | 'CERT_NOT_YET_VALID'
  | 'CERT_HAS_EXPIRED'
  | 'CERT_REVOKED'
  /** No current revocation list tells of a certificate of the path. */
  | 'REVOCATION_UNKNOWN'
  /** A key is too short, or of a kind that does not count. */
  | 'KEY_NOT_ALLOWED'
  /** No issuer is known that has the right name. */
  | 'ISSUER_UNKNOWN'
  /** The issuers that have the right name did not sign it, or with an algorithm that does not count. */
  | 'SIGNATURE_INVALID'
  | 'ISSUER_NOT_A_CA'
  | 'PATH_TOO_LONG'
  | 'NAME_NOT_PERMITTED'
  | 'POLICY_NOT_PERMITTED'
  /** Key usage or extended key usage does not allow it, of the certificate or of a CA above it. */
  | 'USAGE_NOT_PERMITTED'
  | 'CRITICAL_EXTENSION_UNKNOWN'
  /** The search reached its bounds. */
  | 'SEARCH_TOO_LONG'

/** What the first certificate of a path is to be used for. */
export type Usage = 'clientAuth' | 'cRLSign'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'

/** Why `certificate` cannot be used now, whatever its path. */
export function flawOf(certificate: Certificate, now: number): PathRefusal | undefined {
  if (now < certificate.notBefore) return 'CERT_NOT_YET_VALID'
  if (now > certificate.notAfter) return 'CERT_HAS_EXPIRED'
  return certificate.hasUnknownCriticalExtension ? 'CRITICAL_EXTENSION_UNKNOWN' : undefined
}

/** Why `issuer` cannot have issued certificates; a trust anchor may be older than the extension that says that it is a CA. */
export function issuerFlawOf({ basicConstraints, keyUsage, version }: Certificate, isAnchor: boolean) {
  const isAncient = isAnchor && version < 3
  if (!isAncient && basicConstraints?.cA !== true) return 'ISSUER_NOT_A_CA'
  return keyUsage?.keyCertSign === false ? 'USAGE_NOT_PERMITTED' : undefined
}

/** Why `certificate` cannot be used so. */
export function usageFlawOf({ keyUsage, extKeyUsage }: Certificate, usage: Usage): PathRefusal | undefined {
  const isAllowed = usage === 'cRLSign' ? keyUsage?.cRLSign : keyUsage?.digitalSignature
  if (isAllowed === false) return 'USAGE_NOT_PERMITTED'
  return usage === 'clientAuth' && !allowsClients(extKeyUsage) ? 'USAGE_NOT_PERMITTED' : undefined
}

const allowsClients = (extKeyUsage: readonly string[] | undefined): boolean =>
  extKeyUsage === undefined || extKeyUsage.includes(CLIENT_AUTH) || extKeyUsage.includes(ANY_EXTENDED_KEY_USAGE)

/**
 * Why a path is not valid (RFC 5280 section 6.1), but for signatures and revocation. The trust anchor's own constraints
 * bind too (RFC 5937).
 *
 * @param path from the certificate to the trust anchor; each was issued by the next one, and is strong enough
 */
export function pathFlawOf(path: readonly Certificate[], usage: Usage, now: number): PathRefusal | undefined {
  const constraints: NameConstraints[] = []
  const policies = new PolicyState(path.length - 1, path.at(-1) as Certificate)
  let room = Infinity
  for (let index = path.length - 1; index >= 0; index -= 1) {
    const certificate = path[index] as Certificate
    const isAnchor = index === path.length - 1
    const isLast = index === 0
    const flaw = flawOf(certificate, now)
    if (flaw !== undefined) return flaw
    if ((isLast || !certificate.isSelfIssued) && !namesAllowed(certificate, constraints)) return 'NAME_NOT_PERMITTED'
    if (!isAnchor && !policies.enter(certificate, isLast)) return 'POLICY_NOT_PERMITTED'
    if (isLast) break

    const issuerFlaw = issuerFlawOf(certificate, isAnchor)
    if (issuerFlaw !== undefined) return issuerFlaw
    if (usage === 'clientAuth' && !allowsClients(certificate.extKeyUsage)) return 'USAGE_NOT_PERMITTED'
    if (!isAnchor && !policies.leave(certificate)) return 'POLICY_NOT_PERMITTED'
    if (!isAnchor && !certificate.isSelfIssued && (room -= 1) < 0) return 'PATH_TOO_LONG'
    room = Math.min(room, certificate.basicConstraints?.pathLen ?? Infinity)
    if (certificate.nameConstraints) constraints.push(certificate.nameConstraints)
  }
  const [first] = path as [Certificate]
  if (path.length > 1 && !policies.finish(first)) return 'POLICY_NOT_PERMITTED'
  return usageFlawOf(first, usage)
}
