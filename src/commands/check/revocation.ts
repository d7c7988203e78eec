import type { Config, PoolConfig } from '../../config/schema.ts'
import { parseCertificate, type Certificate } from '../../x509/certificate.ts'
import type { RevocationList } from '../../x509/crl.ts'
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
  for (const ca of cas) checkCa(subject, ca, revocation, findings)
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

function checkCa(subject: string, ca: Certificate, revocation: EntryWithLists['revocation'], findings: Findings): void {
  const name = ca.subject.text
  const lists = revocation.lists.filter(({ issuer, isDelta }) => issuer.key === ca.subject.key && !isDelta)
  const [list] = lists.toSorted((one, other) => other.nextUpdate - one.nextUpdate)
  const now = Date.now()
  const consequence =
    revocation.whenStale === 'refuse'
      ? 'clients of this CA are refused'
      : 'clients of this CA are let in, even if they were revoked'
  const fault = revocation.whenStale === 'refuse' ? 'problem' : 'warning'
  if (list === undefined) {
    findings[fault]('clients.revocation', `there is no revocation list of ${name}; ${consequence}`, {
      subject,
      advice: "add that CA's list to revocation.lists",
    })
  } else if (!list.isCurrent(now)) {
    findings[fault]('clients.revocation', `the list of ${name} ${inWords(list)}; ${consequence}`, {
      subject,
      advice: 'fetch the current list, and find out why the timer did not',
    })
  } else if (list.nextUpdate - now < (list.nextUpdate - list.thisUpdate) * ENDING_SHARE) {
    findings.warning('clients.revocation', `the list of ${name} ${inWords(list)}`, {
      subject,
      advice: 'make sure that a newer list is fetched before then',
    })
  } else findings.ok('clients.revocation', `the list of ${name} ${inWords(list)}`, { subject })
}

function inWords({ thisUpdate, nextUpdate }: RevocationList): string {
  if (thisUpdate > Date.now()) return `is dated in the future: ${dayOf(new Date(thisUpdate))}`
  return nextUpdate < Date.now()
    ? `was due to be replaced by ${dayOf(new Date(nextUpdate))}`
    : `is current until ${dayOf(new Date(nextUpdate))}`
}
