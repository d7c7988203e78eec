import type { X509Certificate } from 'node:crypto'
import { parseAzureOutput } from '../../config/clients.ts'
import type { Config, PoolConfig } from '../../config/schema.ts'
import { casOf, distinct, SHOW } from './clients.ts'
import { CouldNotRun, readGiven } from './could-not-run.ts'
import type { Findings, More } from './findings.ts'
import { isSelfIssued, nameOf } from './x509.ts'

/** What Azure shows today, from a file of `--azure-certificate [POOL=]FILE`. */
export interface FreshList {
  /** The option's text. */
  readonly given: string
  readonly commonNames: readonly string[]
  readonly cas: readonly X509Certificate[]
  /** Undefined if the client's name decides which pool it is. */
  readonly pool?: string
}

/** @param pools names that may be before the `=`; a file's name can contain one, too */
export function readFresh(given: string, pools: readonly string[]): FreshList {
  const pool = pools.find((name) => given.startsWith(`${name}=`))
  const file = pool === undefined ? given : given.slice(pool.length + 1)
  const parsed = parseAzureOutput(readGiven(file, `--azure-certificate ${given}: the file`))
  if (parsed === undefined) {
    throw new CouldNotRun(`--azure-certificate ${given}: the file is not the output of: ${SHOW}`)
  }
  return { given, commonNames: parsed.commonNames, cas: parsed.given, ...(pool !== undefined && { pool }) }
}

/**
 * Compares the allow-lists with what Azure shows. A difference is the most common reason why a working proxy starts to
 * refuse Managed HSM.
 */
export function checkDrift({ pools }: Config, fresh: readonly FreshList[], findings: Findings): void {
  const compared = new Set<string>()
  for (const list of fresh) {
    const pool = poolOf(list, pools)
    compared.add(pool.name)
    compare(pool, list, findings)
  }
  for (const { name } of pools) {
    if (compared.has(name)) continue
    findings.notChecked('clients.drift', 'no output of az was given to compare the allow-list with', {
      subject: name,
      advice: `save the output of az, and give it with --azure-certificate ${name}=azure.json`,
      command: SHOW,
    })
  }
}

function poolOf({ given, pool: named, commonNames }: FreshList, pools: readonly PoolConfig[]): PoolConfig {
  const byName = pools.filter(({ name }) => name === named)
  const byClient = pools.filter(({ clients }) =>
    clients.some((entry) => entry.commonNames.some((name) => commonNames.includes(name))),
  )
  const [candidates] = [byName, byClient, pools].filter((found) => found.length === 1)
  const [pool] = candidates ?? []
  if (pool !== undefined) return pool
  const names = pools.map(({ name }) => name).join(', ')
  throw new CouldNotRun(`--azure-certificate ${given}: name the pool, as POOL=FILE; the pools are: ${names}`)
}

function compare({ name: subject, clients }: PoolConfig, fresh: FreshList, findings: Findings): void {
  const take = {
    subject,
    advice: `set the azureCertificate of pool ${subject} to ${fresh.given.replace(`${subject}=`, '')}`,
  }
  const before = findings.all.length
  compareNames(clients, fresh, take, findings)
  compareCas(clients, fresh, take, findings)
  if (findings.all.length > before) return
  // A name and a root count only together, in one entry.
  const together = clients.some(
    (entry) =>
      fresh.commonNames.every((name) => entry.commonNames.includes(name)) &&
      fresh.cas.filter(isSelfIssued).every((root) => has(entry.roots, root)),
  )
  if (together) findings.ok('clients.drift', 'the allow-list equals what Azure shows', { subject })
  else {
    const found = 'the pool lists the name and roots that Azure shows, but not together in one entry'
    findings.warning('clients.drift', found, take)
  }
}

const has = (certificates: readonly X509Certificate[], wanted: X509Certificate): boolean =>
  certificates.some(({ fingerprint256 }) => fingerprint256 === wanted.fingerprint256)

function compareNames(clients: PoolConfig['clients'], fresh: FreshList, take: More, findings: Findings): void {
  const listed = [...new Set(clients.flatMap(({ commonNames }) => commonNames))]
  for (const name of fresh.commonNames.filter((wanted) => !listed.includes(wanted))) {
    const found = `Azure's client is now ${name}, which the pool does not list: it lists ${listed.join(', ')}`
    findings.problem('clients.drift', found, take)
  }
}

function compareCas(clients: PoolConfig['clients'], fresh: FreshList, take: More, findings: Findings): void {
  const known = distinct(clients.flatMap(casOf))
  for (const ca of fresh.cas.filter((wanted) => !has(known, wanted))) {
    if (isSelfIssued(ca)) {
      findings.problem('clients.drift', `Azure has the new root ${nameOf(ca)}, which the pool does not trust`, take)
    } else {
      const found = `Azure has the new issuing CA ${nameOf(ca)}, which the pool does not list`
      findings.warning('clients.drift', found, take)
    }
  }
  for (const ca of known.filter((old) => !has(fresh.cas, old))) {
    findings.warning('clients.drift', `Azure no longer has ${nameOf(ca)}, which the pool trusts`, {
      ...take,
      advice: 'remove it when no client uses it any more',
    })
  }
}
