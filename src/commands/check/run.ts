import type { X509Certificate } from 'node:crypto'
import type { openBackend } from '../../backends/index.ts'
import { ConfigInvalid, loadBackends, type Environment } from '../../config/load.ts'
import type { Config } from '../../config/schema.ts'
import { pemCertificates } from './backend-certificates.ts'
import { checkBackend } from './backends.ts'
import { checkCertificate } from './certificate.ts'
import { checkClients } from './clients.ts'
import { checkClock } from './clock.ts'
import { checkClientAuth, checkConfiguration, checkFiles, checkLog } from './configuration.ts'
import { checkDrift, readFresh, type FreshList } from './drift.ts'
import { Findings, statuses, type Finding, type Status } from './findings.ts'
import { handshake } from './handshake.ts'
import { checkListener } from './listener.ts'
import { withOwnListener } from './own-listener.ts'
import { checkRevocation } from './revocation.ts'
import { readServerFiles, type Chain, type ServerFiles } from './server-chain.ts'
import { WrittenSettings } from './written-settings.ts'

export interface Question {
  /** Path of the configuration file. */
  readonly config: string
  /** The host that Azure is told. */
  readonly fqdn?: string
  /** What Azure got as `--server-ca-certificate`. */
  readonly serverCa?: readonly X509Certificate[]
  /** Each a file, or `POOL=FILE`. */
  readonly azureCertificates: readonly string[]
  /** Ids of checks, or the groups before their dots; everything where it is empty. */
  readonly only: readonly string[]
}

export interface Report {
  readonly config: string
  readonly startedAt: Date
  readonly seconds: number
  readonly findings: readonly Finding[]
  readonly counts: Readonly<Record<Status, number>>
}

/**
 * Looks at everything that a gateway with this configuration needs, and changes none of it. Every step has a time limit of
 * its own. Rejects with CouldNotRun where the question cannot be answered.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export async function runCheck(
  question: Question,
  environment: Environment,
  onFinding?: (finding: Finding) => void,
  open?: typeof openBackend,
): Promise<Report> {
  const startedAt = new Date()
  const began = performance.now()
  const findings = new Findings(question.only, onFinding)
  const written = WrittenSettings.read(question.config, environment)
  const fresh = await readAllFresh(question, written)
  const config = checkConfiguration(question.config, environment, findings)
  if (config !== undefined) {
    checkClientAuth(config, findings)
    await checkLog(config, findings)
  }
  if (written === undefined) notReached(findings)
  else {
    const files = written.files()
    await checkFiles(files, findings)
    const server = readServerFiles(written)
    const chain = await chainOf(server, config)
    judgeCertificate(server, chain, config, question, findings)
    if (config === undefined) {
      findings.notChecked('clients.names', NOT_VALID)
      findings.notChecked('listener.port', NOT_VALID)
    } else {
      checkClients(config, findings)
      await checkRevocation(config, findings)
      checkDrift(config, fresh, findings)
      if (findings.wants('listener', 'tls')) await checkListener(config, chain, findings)
    }
    if (findings.wants('clock')) await checkClock(datedCertificates(chain, config), files, findings)
    if (findings.wants('backend', 'key')) await checkBackends(question, environment, config, written, findings, open)
  }
  const { reported } = findings
  const counts = Object.fromEntries(
    statuses.map((status) => [status, reported.filter((finding) => finding.status === status).length]),
  ) as Record<Status, number>
  const seconds = (performance.now() - began) / 1000
  return { config: question.config, startedAt, seconds, findings: reported, counts }
}

const NOT_VALID = 'the configuration is not valid: see configuration.valid'

function notReached(findings: Findings): void {
  for (const id of ['certificate.chain-order', 'clients.names', 'listener.port', 'backend.open'] as const) {
    findings.notChecked(id, NOT_VALID)
  }
}

function readAllFresh(question: Question, written: WrittenSettings | undefined): Promise<FreshList[]> {
  const pools = (written?.within('pools') ?? []).flatMap((index) => written?.text('pools', index, 'name') ?? [])
  return Promise.all(question.azureCertificates.map((given) => readFresh(given, pools)))
}

/** A PKCS#12 file's certificates are those that OpenSSL finds in it, and sends. */
async function chainOf(server: ServerFiles | undefined, config: Config | undefined): Promise<Chain | undefined> {
  if (server?.kind === 'pem') return server.chain
  if (server === undefined || config === undefined) return undefined
  const agreed = await withOwnListener(config, (place) => handshake(place, { minVersion: 'TLSv1.3' }))
  return 'refused' in agreed ? undefined : agreed.chain
}

function judgeCertificate(
  server: ServerFiles | undefined,
  chain: Chain | undefined,
  config: Config | undefined,
  { fqdn, serverCa }: Question,
  findings: Findings,
): void {
  if (server === undefined || chain === undefined) {
    findings.notChecked('certificate.azure', 'the certificate cannot be read: see configuration.valid')
    return
  }
  const question = {
    file: server.file,
    keyFile: server.kind === 'pem' ? server.keyFile : undefined,
    chain,
    ordered: server.kind === 'pem',
    keyBelongs: config !== undefined,
    fqdn,
    serverCa,
  }
  checkCertificate(question, findings)
}

function datedCertificates(chain: Chain | undefined, config: Config | undefined): X509Certificate[] {
  const clients = (config?.pools ?? []).flatMap((pool) =>
    pool.clients.flatMap(({ roots, intermediates }) => [...roots, ...intermediates]),
  )
  const backends = Object.values(config?.backends ?? {}).flatMap((settings) =>
    settings.kind === 'kmip' ? [...pemCertificates(settings.tls.ca), ...pemCertificates(settings.tls.certificate)] : [],
  )
  return [...(chain ?? []), ...clients, ...backends]
}

/** Also with a configuration that is wrong elsewhere, as far as the backends are right. */
async function checkBackends(
  question: Question,
  environment: Environment,
  config: Config | undefined,
  written: WrittenSettings,
  findings: Findings,
  open?: typeof openBackend,
): Promise<void> {
  const backends = config?.backends ?? backendsAlone(question.config, environment)
  if (backends === undefined) {
    findings.notChecked('backend.open', NOT_VALID)
    return
  }
  for (const [name, settings] of Object.entries(backends)) {
    const pools = (config?.pools ?? []).filter(({ backend }) => backend === name)
    const deadlineMs = config?.limits.deadlineMs ?? DEFAULT_DEADLINE_MS
    await checkBackend({ name, settings, pools, deadlineMs, written }, findings, open)
  }
}

const DEFAULT_DEADLINE_MS = 200

function backendsAlone(file: string, environment: Environment): Config['backends'] | undefined {
  try {
    return loadBackends(file, environment)
  } catch (error) {
    if (error instanceof ConfigInvalid) return undefined
    throw error
  }
}
