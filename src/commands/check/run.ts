import type { X509Certificate } from 'node:crypto'
import { rowOf, type openBackend } from '../../backends/index.ts'
import { ConfigInvalid, loadBackends, type Environment } from '../../config/load.ts'
import { DEFAULT_DEADLINE_MS, type Config } from '../../config/schema.ts'
import { checkUser } from './as-user.ts'
import { checkBackend } from './backends.ts'
import { checkCertificate } from './certificate.ts'
import { casOf, checkClients, distinct } from './clients.ts'
import { checkClock, suspectClock } from './clock.ts'
import {
  checkAdmin,
  checkClientAuth,
  checkConfiguration,
  checkDescriptors,
  checkFiles,
  checkLog,
} from './configuration.ts'
import { checkDrift, readFresh, type FreshList } from './drift.ts'
import { Findings, statuses, type Finding, type Status } from './findings.ts'
import { handshake } from './handshake.ts'
import { checkListener } from './listener.ts'
import { withOwnListener } from './own-listener.ts'
import { checkRevocation } from './revocation.ts'
import { positionOfOwn, readPrivateKey, readServerFiles, type Chain, type ServerFiles } from './server-chain.ts'
import { WrittenSettings } from './written-settings.ts'

export interface Question {
  /** Path of the configuration file. */
  readonly config: string
  /** The host that Azure calls: a name, or an IP address. */
  readonly fqdn?: string
  /** The common name of the server certificate that Azure expects. */
  readonly serverCn?: string
  /** The certificates that az got as `--server-ca-certificate`. */
  readonly serverCa?: readonly X509Certificate[]
  /** The user that this process runs as in place of root. */
  readonly as?: string
  /** Each is a file, or `POOL=FILE`. */
  readonly azureCertificates: readonly string[]
  /** Ids of checks or groups; everything if empty. */
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
 * Checks everything that a gateway with this configuration needs, without changing anything. Every step has its own
 * time limit.
 *
 * @param open how a backend is opened; tests inject faults
 * @throws CouldNotRun if the options are wrong
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
  const fresh = readAllFresh(question, written)
  const config = checkConfiguration(question.config, environment, findings)
  checkUser(question.as, findings)
  if (config !== undefined) {
    checkClientAuth(config, findings)
    checkAdmin(config, findings)
    await checkLog(config, findings)
    await checkDescriptors(config, findings)
  }
  if (written === undefined) notReached(findings)
  else {
    const files = written.files()
    await checkFiles(files, findings)
    const { chain, dated } = await checkServerCertificate(question, written, config, findings)
    await checkPeers(question, chain, config, fresh, findings)
    if (findings.wants('clock')) await checkClock(dated, files, findings)
    if (findings.wants('backend', 'key')) await checkBackends(question, environment, config, written, findings, open)
  }
  const seconds = (performance.now() - began) / 1000
  return { config: question.config, startedAt, seconds, findings: findings.reported, counts: countsOf(findings) }
}

const countsOf = ({ reported }: Findings) =>
  Object.fromEntries(
    statuses.map((status) => [status, reported.filter((finding) => finding.status === status).length]),
  ) as Record<Status, number>

/** @returns the server's chain, and every certificate whose dates count */
async function checkServerCertificate(
  question: Question,
  written: WrittenSettings,
  config: Config | undefined,
  findings: Findings,
): Promise<{ readonly chain: Chain | undefined; readonly dated: readonly X509Certificate[] }> {
  const server = readServerFiles(written)
  const chain = await chainOf(server, config)
  const dated = datedCertificates(chain, config)
  suspectClock(dated, findings)
  judgeCertificate(server, chain, config, question, findings)
  return { chain, dated }
}

/** Checks who may call, and what a caller meets. */
async function checkPeers(
  question: Question,
  chain: Chain | undefined,
  config: Config | undefined,
  fresh: readonly FreshList[],
  findings: Findings,
): Promise<void> {
  if (config === undefined) {
    findings.notChecked('clients.names', NOT_VALID)
    findings.notChecked('listener.port', NOT_VALID)
    return
  }
  checkClients(config, findings)
  await checkRevocation(config, findings)
  checkDrift(config, fresh, findings)
  if (findings.wants('listener', 'tls')) await checkListener(config, chain, findings, question.as)
}

const NOT_VALID = 'the configuration is not valid: see configuration.valid'

function notReached(findings: Findings): void {
  for (const id of ['certificate.chain-order', 'clients.names', 'listener.port', 'backend.open'] as const) {
    findings.notChecked(id, NOT_VALID)
  }
}

function readAllFresh(question: Question, written: WrittenSettings | undefined): FreshList[] {
  const pools = (written?.within('pools') ?? []).flatMap((index) => written?.text('pools', index, 'name') ?? [])
  return question.azureCertificates.map((given) => readFresh(given, pools))
}

/** The certificates of a PKCS#12 file are those that OpenSSL finds in it and sends. */
async function chainOf(server: ServerFiles | undefined, config: Config | undefined): Promise<Chain | undefined> {
  if (server?.kind === 'pem') return server.chain
  if (server === undefined || config === undefined) return undefined
  const agreed = await withOwnListener(config, (address) => handshake(address, { minVersion: 'TLSv1.3' }))
  return 'refused' in agreed ? undefined : agreed.chain
}

function judgeCertificate(
  server: ServerFiles | undefined,
  chain: Chain | undefined,
  config: Config | undefined,
  { fqdn, serverCn, serverCa }: Question,
  findings: Findings,
): void {
  if (server === undefined || chain === undefined) {
    findings.notChecked('certificate.azure', 'the certificate cannot be read: see configuration.valid')
    return
  }
  const keyFile = server.kind === 'pem' ? server.keyFile : undefined
  // What the configuration takes has the key's certificate in front.
  const own =
    config === undefined ? positionOfOwn(chain, keyFile === undefined ? undefined : readPrivateKey(keyFile)) : 0
  const question = {
    file: server.file,
    keyFile,
    chain,
    own,
    ordered: server.kind === 'pem',
    keyBelongs: config !== undefined,
    fqdn,
    serverCn,
    serverCa,
  }
  checkCertificate(question, findings)
}

function datedCertificates(chain: Chain | undefined, config: Config | undefined): X509Certificate[] {
  const clients = (config?.pools ?? []).flatMap((pool) => pool.clients.flatMap(casOf))
  const backends = Object.values(config?.backends ?? {}).flatMap((settings) =>
    rowOf(settings)
      .certificates(settings)
      .map(({ certificate }) => certificate),
  )
  return distinct([...(chain ?? []), ...clients, ...backends])
}

/** Runs even if the configuration has errors elsewhere, as long as the backends are valid. */
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

function backendsAlone(file: string, environment: Environment): Config['backends'] | undefined {
  try {
    return loadBackends(file, environment)
  } catch (error) {
    if (error instanceof ConfigInvalid) return undefined
    throw error
  }
}
