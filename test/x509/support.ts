import type { Certificate } from '../../src/x509/certificate.ts'
import type { Issuers } from '../../src/x509/search.ts'

export const issuersOf = (anchors: readonly Certificate[], others: readonly Certificate[]): Issuers => {
  const known = [...anchors, ...others]
  return {
    isAnchor: ({ fingerprint }) => anchors.some((anchor) => anchor.fingerprint === fingerprint),
    named: (subject) => known.filter((certificate) => certificate.subject.key === subject),
  }
}
