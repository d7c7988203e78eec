import type { NameConstraints } from './extensions.ts'
import type { Certificate } from './certificate.ts'
import type { NameChecks } from './name-constraints.ts'
import { PolicyState } from './policies.ts'

/** Why there is no path. */
export const pathRefusals = [
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'CERT_REVOKED',
  /** No current revocation list covers a certificate of the path. */
  'REVOCATION_UNKNOWN',
  /** A key is too short, or of a kind that is not accepted. */
  'KEY_NOT_ALLOWED',
  /** No certificate is known that has the issuer's name. */
  'ISSUER_UNKNOWN',
  /** The certificates with the issuer's name did not sign it, or used an algorithm that is not accepted. */
  'SIGNATURE_INVALID',
  'ISSUER_NOT_A_CA',
  'PATH_TOO_LONG',
  'NAME_NOT_PERMITTED',
  'POLICY_NOT_PERMITTED',
  /** The key usage or extended key usage of the certificate, or of a CA above it, does not allow this. */
  'USAGE_NOT_PERMITTED',
  'CRITICAL_EXTENSION_UNKNOWN',
  /** The search reached its limits. */
  'SEARCH_TOO_LONG',
] as const
export type PathRefusal = (typeof pathRefusals)[number]

/** The use of the first certificate of a path. */
export type Usage = 'clientAuth' | 'cRLSign'

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'

/** Why `certificate` cannot be used now on any path. Undefined if it can. */
export function flawOf(certificate: Certificate, now: number): PathRefusal | undefined {
  if (now < certificate.notBefore) return 'CERT_NOT_YET_VALID'
  if (now > certificate.notAfter) return 'CERT_HAS_EXPIRED'
  return certificate.hasUnknownCriticalExtension ? 'CRITICAL_EXTENSION_UNKNOWN' : undefined
}

/** Why `issuer` cannot have issued certificates. A trust anchor may be older than the extension that marks a CA. */
export function issuerFlawOf({ basicConstraints, keyUsage, version }: Certificate, isAnchor: boolean) {
  const isAncient = isAnchor && version < 3
  if (!isAncient && basicConstraints?.cA !== true) return 'ISSUER_NOT_A_CA'
  return keyUsage?.keyCertSign === false ? 'USAGE_NOT_PERMITTED' : undefined
}

/** Why `certificate` cannot be used for `usage`. */
export function usageFlawOf({ keyUsage, extKeyUsage }: Certificate, usage: Usage): PathRefusal | undefined {
  const isAllowed = usage === 'cRLSign' ? keyUsage?.cRLSign : keyUsage?.digitalSignature
  if (isAllowed === false) return 'USAGE_NOT_PERMITTED'
  return usage === 'clientAuth' && !allowsClients(extKeyUsage) ? 'USAGE_NOT_PERMITTED' : undefined
}

const allowsClients = (extKeyUsage: readonly string[] | undefined): boolean =>
  extKeyUsage === undefined || extKeyUsage.includes(CLIENT_AUTH) || extKeyUsage.includes(ANY_EXTENDED_KEY_USAGE)

/**
 * Why a path is not valid (RFC 5280 section 6.1), apart from signatures and revocation. The trust anchor's own
 * constraints apply, too (RFC 5937).
 *
 * @param path from the certificate to the trust anchor; each was issued by the next one, and is strong enough
 */
export async function pathFlawOf(
  path: readonly Certificate[],
  usage: Usage,
  names: NameChecks,
  now: number,
): Promise<PathRefusal | undefined> {
  const constraints: NameConstraints[] = []
  const policies = new PolicyState(path.length - 1, path.at(-1) as Certificate)
  let room = Infinity
  for (let index = path.length - 1; index >= 0; index -= 1) {
    const certificate = path[index] as Certificate
    const isAnchor = index === path.length - 1
    const isLast = index === 0
    const flaw = flawOf(certificate, now)
    if (flaw !== undefined) return flaw
    const isNamed = isLast || !certificate.isSelfIssued
    if (isNamed && !(await names.allow(certificate, constraints))) return 'NAME_NOT_PERMITTED'
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
