import type { Config, PoolConfig } from '../../config/schema.ts'
import { parseCertificate, type Certificate } from '../../x509/certificate.ts'
import type { RevocationList } from '../../x509/crl.ts'
import { modernSignatures } from '../../x509/signature.ts'
import type { Findings } from './findings.ts'
import { dayOf } from './x509.ts'

/** A list of which less of its time is left should have been replaced. */
const ENDING_SHARE = 0.25

type Entry = PoolConfig['clients'][number]
type EntryWithLists = Entry & Required<Pick<Entry, 'revocation'>>

/** The revocation lists of all allow-lists. */
export async function checkRevocation({ pools, listen }: Config, findings: Findings): Promise<void> {
  if (listen.clientAuth === 'disabled') return
  for (const { name: subject, clients } of pools) {
    const entries = clients.filter((entry): entry is EntryWithLists => entry.revocation !== undefined)
    if (entries.length < clients.length) {
      findings.notChecked('clients.revocation', 'nobody asks whether a client was revoked', {
        subject,
        advice: "give the CAs' revocation lists as revocation.lists",
      })
    }
    for (const entry of entries) await checkEntry(subject, entry, findings)
  }
}

async function checkEntry(subject: string, { roots, intermediates, revocation }: EntryWithLists, findings: Findings) {
  const cas = [...roots, ...intermediates].map(({ raw }) => parseCertificate(raw))
  const damage = await revocation.prepare(cas, modernSignatures)
  if (damage !== undefined) {
    findings.problem('clients.revocation', `${damage}; the gateway will not start`, {
      subject,
      advice: 'fetch the list anew from the CA that issues it',
    })
  }
  for (const ca of cas) checkCa(subject, ca, revocation, findings)
}

function checkCa(subject: string, ca: Certificate, revocation: EntryWithLists['revocation'], findings: Findings): void {
  const name = ca.subject.text
  const lists = revocation.lists.filter(({ issuer, isDelta }) => issuer.key === ca.subject.key && !isDelta)
  const [list] = lists.toSorted((one, other) => other.nextUpdate - one.nextUpdate)
  const now = Date.now()
  const consequence =
    revocation.whenStale === 'refuse' ? 'its clients are refused' : 'its clients get in, also those that were revoked'
  const fault = revocation.whenStale === 'refuse' ? 'problem' : 'warning'
  if (list === undefined) {
    findings[fault]('clients.revocation', `no list tells which certificates ${name} revoked; ${consequence}`, {
      subject,
      advice: "add that CA's list to revocation.lists",
    })
  } else if (!list.isCurrent(now)) {
    findings[fault]('clients.revocation', `the list of ${name} ${inWords(list)}; ${consequence}`, {
      subject,
      advice: 'fetch the list of today, and see why the timer that should have done so did not',
    })
  } else if (list.nextUpdate - now < (list.nextUpdate - list.thisUpdate) * ENDING_SHARE) {
    findings.warning('clients.revocation', `the list of ${name} ${inWords(list)}`, {
      subject,
      advice: 'see that a newer list is fetched before that',
    })
  } else findings.ok('clients.revocation', `the list of ${name} ${inWords(list)}`, { subject })
}

function inWords({ thisUpdate, nextUpdate }: RevocationList): string {
  if (thisUpdate > Date.now()) return `is from the future: ${dayOf(new Date(thisUpdate))}`
  return nextUpdate < Date.now()
    ? `should have been replaced by ${dayOf(new Date(nextUpdate))}`
    : `is current until ${dayOf(new Date(nextUpdate))}`
}
