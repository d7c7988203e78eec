import type { X509Certificate } from 'node:crypto'
import { isSelfIssued } from '../../config/clients.ts'

export { isSelfIssued }

const DAY_MS = 86_400_000
/** Days. Microsoft suggests an alert for certificates that expire within 30 days. */
export const WARNING_DAYS = 30

/** Whole days until `date`; negative after it. */
export const daysUntil = (date: Date, now = new Date()): number => Math.floor((date.getTime() - now.getTime()) / DAY_MS)

export const dayOf = (date: Date): string => date.toISOString().slice(0, 10)

/** A certificate's common name; without one, its subject or its fingerprint. */
export function nameOf({ subject, fingerprint256 }: X509Certificate): string {
  const [, commonName] = /^CN=(.+)$/m.exec(subject ?? '') ?? []
  return commonName ?? (subject ? subject.replaceAll('\n', ', ') : fingerprint256.slice(0, 23))
}

export const issuerNameOf = ({ issuer }: X509Certificate): string =>
  /^CN=(.+)$/m.exec(issuer ?? '')?.[1] ?? (issuer ?? '').replaceAll('\n', ', ')

export const issued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

export interface Validity {
  readonly state: 'valid' | 'ends soon' | 'ended' | 'not yet'
  /** `valid until 2027-01-03, 40 days left`. */
  readonly inWords: string
  readonly daysLeft: number
}

export function validityOf({ validFrom, validTo }: X509Certificate, now = new Date()): Validity {
  const [from, to] = [new Date(validFrom), new Date(validTo)]
  const daysLeft = daysUntil(to, now)
  if (now < from) {
    return { state: 'not yet', inWords: `not valid before ${from.toISOString()}; it is ${now.toISOString()}`, daysLeft }
  }
  if (now > to) return { state: 'ended', inWords: `ended on ${dayOf(to)}, ${-daysLeft} days ago`, daysLeft }
  const state = daysLeft < WARNING_DAYS ? 'ends soon' : 'valid'
  return { state, inWords: `valid until ${dayOf(to)}, ${daysLeft} days left`, daysLeft }
}

export interface Strength {
  /** `RSA 2048`, `EC prime256v1`. */
  readonly inWords: string
  /** `unusual`: Microsoft does not say whether Azure accepts it. */
  readonly grade: 'good' | 'weak' | 'unusual'
}

const MIN_RSA_BITS = 2048
const usualCurves: readonly (string | undefined)[] = ['prime256v1', 'secp384r1']

export function strengthOf({ publicKey }: X509Certificate): Strength {
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: { modulusLength, namedCurve } = {} } = publicKey
  if (modulusLength !== undefined && type.startsWith('rsa')) {
    const grade = modulusLength < MIN_RSA_BITS ? 'weak' : type === 'rsa' ? 'good' : 'unusual'
    return { inWords: `${type === 'rsa' ? 'RSA' : type} ${modulusLength}`, grade }
  }
  if (type === 'ec') {
    const bits = Number(/\d{3}/.exec(namedCurve ?? '')?.[0] ?? 0)
    const grade = usualCurves.includes(namedCurve) ? 'good' : bits < 224 ? 'weak' : 'unusual'
    return { inWords: `EC ${namedCurve ?? 'unknown curve'}`, grade }
  }
  return { inWords: type, grade: 'unusual' }
}
