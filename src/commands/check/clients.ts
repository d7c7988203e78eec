import type { X509Certificate } from 'node:crypto'
import type { Config, PoolConfig } from '../../config/schema.ts'
import { CLOCK_FIRST, isClockInDoubt } from './clock.ts'
import type { Findings } from './findings.ts'
import { signatureOf } from './signature.ts'
import { isSelfIssued, nameOf, strengthOf, validityOf } from './x509.ts'

/** Checks the allow-lists of all pools. */
export function checkClients({ pools, listen }: Config, findings: Findings): void {
  if (listen.clientAuth === 'disabled') {
    findings.notChecked('clients.names', 'listen.clientAuth is disabled, so the allow-lists are not used')
    return
  }
  for (const pool of pools) {
    checkNames(pool, findings)
    for (const entry of pool.clients) checkValidity(pool.name, entry, findings)
    for (const certificate of distinct(pool.clients.flatMap(casOf))) checkStrength(pool.name, certificate, findings)
  }
  checkShared(pools, findings)
}

type Entry = PoolConfig['clients'][number]

export const casOf = ({ roots, intermediates }: Entry): X509Certificate[] => [...roots, ...intermediates]

export const distinct = (certificates: readonly X509Certificate[]): X509Certificate[] => [
  ...new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate])).values(),
]

function checkNames({ name, clients }: PoolConfig, findings: Findings): void {
  const names = [...new Set(clients.flatMap(({ commonNames }) => commonNames))]
  const roots = distinct(clients.flatMap((entry) => entry.roots)).map(nameOf)
  findings.ok('clients.names', `${names.join(', ')} under ${roots.join(', ')}`, { subject: name })
}

/**
 * If an entry has several roots, an expired one may be an old one that nobody has removed yet. At least one root must
 * be valid.
 */
function checkValidity(pool: string, entry: Entry, findings: Findings): void {
  const roots = distinct(entry.roots)
  const isGood = (certificate: X509Certificate) => ['valid', 'ends soon'].includes(validityOf(certificate).state)
  for (const certificate of distinct(casOf(entry))) {
    const { state, inWords, daysLeft } = validityOf(certificate)
    const kind = isSelfIssued(certificate) ? 'root' : 'issuing CA'
    const found = `the ${kind} ${nameOf(certificate)}: ${inWords}`
    const more = {
      subject: pool,
      fields: { daysLeft, notAfter: new Date(certificate.validTo).toISOString(), certificate: nameOf(certificate) },
    }
    const renewal = isClockInDoubt(findings)
      ? { advice: CLOCK_FIRST }
      : { advice: "compare with Azure's current CAs", command: SHOW }
    if (state === 'valid') findings.ok('clients.roots', found, more)
    else if (state === 'ends soon' || roots.some(isGood)) {
      findings.warning('clients.roots', found, { ...more, ...renewal })
    } else findings.problem('clients.roots', `${found}; no client can get in`, { ...more, ...renewal })
  }
}

export const SHOW = 'az keyvault ekm-connection certificate show --hsm-name HSM > azure.json'

function checkStrength(pool: string, certificate: X509Certificate, findings: Findings): void {
  const { inWords, grade } = strengthOf(certificate)
  const signature = isSelfIssued(certificate) ? undefined : signatureOf(certificate)
  const more = { subject: pool, fields: { certificate: nameOf(certificate), key: inWords } }
  if (grade !== 'weak' && signature?.weak !== true) {
    findings.ok('clients.strength', `${nameOf(certificate)}: ${inWords}`, more)
    return
  }
  const why = grade === 'weak' ? inWords : (signature?.inWords ?? '')
  findings.problem(
    'clients.strength',
    `${nameOf(certificate)}: ${why} is too weak; client certificates could be forged`,
    {
      ...more,
      advice: "remove it, and take Azure's current CAs",
      command: SHOW,
    },
  )
}

function checkShared(pools: readonly PoolConfig[], findings: Findings): void {
  const owners = new Map<string, { readonly client: string; readonly pools: Set<string> }>()
  for (const { name, clients } of pools) {
    for (const { commonNames, roots } of clients) {
      for (const client of commonNames) {
        for (const { fingerprint256 } of roots) {
          const key = `${fingerprint256} ${client}`
          const owner = owners.get(key) ?? { client, pools: new Set() }
          owner.pools.add(name)
          owners.set(key, owner)
        }
      }
    }
  }
  const shared = [...owners.values()].filter((owner) => owner.pools.size > 1)
  for (const { client, pools: names } of shared) {
    findings.warning('clients.shared', `${client} may use the pools ${[...names].join(' and ')}`, {
      advice: 'each Managed HSM has its own client name: is one pool an unedited copy of the other?',
    })
  }
  if (shared.length === 0)
    findings.ok(
      'clients.shared',
      `no client may use two pools; there ${pools.length === 1 ? 'is 1' : `are ${pools.length}`}`,
    )
}
