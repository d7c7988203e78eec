import type { Certificate } from './certificate.ts'
import type { ListFlaw, RevocationList } from './crl.ts'
import { ALL_REASONS } from './distribution-points.ts'
import type { Name } from './names.ts'

/** Certificates of a CA of which no list says whether they were revoked. */
export interface Gap {
  readonly issuer: Name
  /** Those of clients, or those of CAs. */
  readonly certificates: 'client' | 'ca'
  readonly why: ListFlaw | 'MISSING'
}

/**
 * What no list in use covers, whatever distribution points the certificates have. A list of one distribution point counts
 * as covering, since it may. A CA needs lists of CA certificates if one of `cas` is below it, or else of clients'.
 *
 * @param cas the configured certificates of CAs
 */
export function gapsOf(cas: readonly Certificate[], lists: readonly RevocationList[], now: number): Gap[] {
  const complete = lists.filter(({ isDelta }) => !isDelta)
  // A list of another issuer may cover any certificate.
  if (complete.some((list) => list.isIndirect && list.isCurrent(now))) return []
  const issuers = new Map(cas.map(({ subject }) => [subject.key, subject]))
  return [...issuers.values()].flatMap((issuer) => {
    const own = complete.filter((list) => list.issuer.key === issuer.key)
    const covers = (certificates: Gap['certificates']) =>
      own.reduce((sum, list) => sum | list.reasonsAtMost(certificates, now), 0) === ALL_REASONS
    const gap = (certificates: Gap['certificates']): Gap[] => [
      { issuer, certificates, why: flawOf(own, certificates, now) },
    ]
    if (cas.some((ca) => ca.issuer.key === issuer.key && !ca.isSelfIssued)) return covers('ca') ? [] : gap('ca')
    // Clients may be below a CA that they send, and whose list is there.
    const isAbove = covers('ca') && complete.some((list) => !issuers.has(list.issuer.key))
    return covers('client') || isAbove ? [] : gap('client')
  })
}

/**
 * What an operator has to mend, first: a list that would cover the certificates if it could be read, then one that would
 * if it were current. A list of other certificates is never at fault.
 */
const MENDED_FIRST: readonly ListFlaw[] = ['CRITICAL_EXTENSION_UNKNOWN', 'EXPIRED', 'NOT_YET_VALID']

function flawOf(lists: readonly RevocationList[], certificates: Gap['certificates'], now: number): Gap['why'] {
  const flaws = lists.map((list) => list.flawFor(certificates, now)).filter((flaw) => flaw !== undefined)
  return MENDED_FIRST.find((flaw) => flaws.includes(flaw)) ?? flaws[0] ?? 'MISSING'
}
