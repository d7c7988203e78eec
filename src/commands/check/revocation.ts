import type { Config, PoolConfig } from '../../config/schema.ts'
import { parseCertificate, type Certificate } from '../../x509/certificate.ts'
import type { RevocationList } from '../../x509/crl.ts'
import { gapsOf, type Gap } from '../../x509/list-coverage.ts'
import type { Name } from '../../x509/names.ts'
import type { Revocation } from '../../x509/revocation.ts'
import { modernSignatures } from '../../x509/signature.ts'
import type { Findings } from './findings.ts'
import { dayOf } from './x509.ts'

/** A list with a smaller share of its time left should have been replaced. */
const ENDING_SHARE = 0.25

type Entry = PoolConfig['clients'][number]
type EntryWithLists = Entry & Required<Pick<Entry, 'revocation'>>

/** Checks the revocation lists of all allow-lists. */
export async function checkRevocation({ pools, listen }: Config, findings: Findings): Promise<void> {
  if (listen.clientAuth === 'disabled') return
  for (const { name: subject, clients } of pools) {
    const entries = clients.filter((entry): entry is EntryWithLists => entry.revocation !== undefined)
    if (entries.length < clients.length) {
      findings.notChecked('clients.revocation', 'revocation of client certificates is not checked', {
        subject,
        advice: "name the CAs' revocation lists in revocation.lists",
      })
    }
    for (const entry of entries) await checkEntry(subject, entry, findings)
  }
}

async function checkEntry(subject: string, { roots, intermediates, revocation }: EntryWithLists, findings: Findings) {
  const cas = [...roots, ...intermediates].map(({ raw }) => parseCertificate(raw))
  const damage = await revocation.prepare(cas, modernSignatures)
  if (damage !== undefined) {
    findings.problem('clients.revocation', `${damage}; the gateway would not start`, {
      subject,
      advice: 'fetch the list again from the CA that issues it',
    })
  }
  const gaps = gapsOf(cas, revocation.lists, Date.now())
  // A CA that was renewed has several certificates.
  for (const ca of new Map(cas.map((one) => [one.subject.key, one])).values()) {
    const gap = gaps.find(({ issuer }) => issuer.key === ca.subject.key)
    if (gap !== undefined) reportGap(subject, gap, revocation, findings)
    else reportLists(subject, ca, revocation, findings)
  }
  const known = new Set(cas.map((ca) => ca.subject.key))
  const others = revocation.lists.map(({ issuer }) => issuer).filter(({ key }) => !known.has(key))
  for (const name of new Set(others.map(({ text }) => text))) {
    findings.warning(
      'clients.revocation',
      `the list of ${name} counts only after a client has shown that CA's certificate`,
      {
        subject,
        advice: 'add the certificate of the CA that signs the list to caCertificates',
      },
    )
  }
}

function reportGap(subject: string, { issuer, certificates, why }: Gap, revocation: Revocation, findings: Findings) {
  const consequence =
    revocation.whenStale === 'refuse'
      ? 'clients of this CA are refused'
      : 'clients of this CA are let in, even if they were revoked'
  const fault = revocation.whenStale === 'refuse' ? 'problem' : 'warning'
  const now = Date.now()
  const latest = listsOf(issuer, revocation).find((list) => list.flawFor(certificates, now) === why)
  const said = latest && (why === 'EXPIRED' || why === 'NOT_YET_VALID') ? inWords(latest) : words[why]
  const found =
    why === 'MISSING' ? `there is no revocation list of ${issuer.text}` : `the list of ${issuer.text} ${said}`
  const what = certificates === 'ca' ? 'certificates of the CAs below it' : "clients' certificates"
  const scope = why in words ? `, so no list says which ${what} were revoked` : ''
  findings[fault]('clients.revocation', `${found}${scope}; ${consequence}`, { subject, advice: adviceOn(why) })
}

const words: Readonly<Partial<Record<Gap['why'], string>>> = {
  CRITICAL_EXTENSION_UNKNOWN: 'has a critical extension that the gateway does not know',
  ONLY_ATTRIBUTE_CERTIFICATES: 'covers attribute certificates only',
  ONLY_CA_CERTIFICATES: 'covers CA certificates only',
  NO_CA_CERTIFICATES: 'covers no CA certificates',
  SOME_REASONS: 'covers some reasons for revocation only',
}

const FETCH_NOW = 'fetch the current list, and find out why the timer did not'

function adviceOn(why: Gap['why']): string {
  if (why === 'MISSING') return "add that CA's list to revocation.lists"
  if (why === 'EXPIRED' || why === 'NOT_YET_VALID') return FETCH_NOW
  return 'add a list of the CA that covers these to revocation.lists; ask the CA which one does'
}

/** The complete lists of a CA, that with the latest end first. */
const listsOf = ({ key }: Name, { lists }: Revocation): RevocationList[] =>
  lists
    .filter(({ issuer, isDelta }) => issuer.key === key && !isDelta)
    .toSorted((one, other) => other.nextUpdate - one.nextUpdate)

function reportLists(subject: string, { subject: issuer }: Certificate, revocation: Revocation, findings: Findings) {
  const [list] = listsOf(issuer, revocation)
  if (list === undefined) {
    const indirect = revocation.lists.find(({ isIndirect }) => isIndirect)
    // Without one, the list of a CA that clients show covers its certificates.
    if (indirect === undefined) return
    const found = `there is no revocation list of ${issuer.text}`
    findings.notChecked('clients.revocation', `${found}; the indirect list of ${indirect.issuer.text} may cover it`, {
      subject,
      advice: "look whether the CA's certificates name that list in cRLDistributionPoints",
    })
    return
  }
  const found = `the list of ${issuer.text} ${inWords(list)}`
  if (!list.isCurrent(Date.now())) {
    findings.warning('clients.revocation', found, { subject, advice: FETCH_NOW })
  } else if (list.nextUpdate - Date.now() < (list.nextUpdate - list.thisUpdate) * ENDING_SHARE) {
    findings.warning('clients.revocation', found, {
      subject,
      advice: 'make sure that a newer list is fetched before then',
    })
  } else findings.ok('clients.revocation', found, { subject })
}

function inWords({ thisUpdate, nextUpdate }: RevocationList): string {
  if (thisUpdate > Date.now()) return `is dated in the future: ${dayOf(new Date(thisUpdate))}`
  return nextUpdate < Date.now()
    ? `was due to be replaced by ${dayOf(new Date(nextUpdate))}`
    : `is current until ${dayOf(new Date(nextUpdate))}`
}
