import type { Certificate } from '../../src/x509/certificate.ts'
import type { Issuers } from '../../src/x509/search.ts'

/** Revocation lists of trust anchors, and of certificates that nobody configured. */
export const issuersOf = (anchors: readonly Certificate[], others: readonly Certificate[]): Issuers => {
  const named = (certificates: readonly Certificate[]) => (subject: string) =>
    certificates.filter((certificate) => certificate.subject.key === subject)
  return {
    isAnchor: ({ fingerprint }) => anchors.some((anchor) => anchor.fingerprint === fingerprint),
    configured: named(anchors),
    others: named(others),
  }
}
