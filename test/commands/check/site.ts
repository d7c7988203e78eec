import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { stringify } from 'yaml'
import { checkIds, type CheckId } from '../../../src/commands/check/catalogue.ts'
import type { Finding, Status } from '../../../src/commands/check/findings.ts'
import { jsonReport } from '../../../src/commands/check/reporters/json.ts'
import { TextReporter } from '../../../src/commands/check/reporters/text.ts'
import { runCheck, type Question, type Report } from '../../../src/commands/check/run.ts'
import { styleFor } from '../../../src/conformance/src/index.ts'
import { makeStore, PASSPHRASE, type TestKey } from '../../support/gateway.ts'
import { CLIENT_CN, issue, type Authority, type Identity } from '../../support/pki.ts'
import { makeWorkspace, type Workspace } from '../../support/workspace.ts'

export const FQDN = 'ekm.example.com'

export const inDays = (days: number) => new Date(Date.now() + days * 86_400_000 + 60_000)

/** Certificates with long enough lifetimes to cause no finding. */
export interface LongPki {
  readonly serverRoot: Authority
  readonly serverIssuer: Authority
  readonly server: Identity
  readonly clientRoot: Authority
  readonly client: Identity
}

export async function makeLongPki(): Promise<LongPki> {
  const long = { notAfter: inDays(400) }
  const serverRoot = await issue({ commonName: 'server root', usage: 'authority', ...long })
  const serverIssuer = await issue({ commonName: 'server issuing CA', usage: 'authority', ...long }, serverRoot)
  const server = await issue({ commonName: FQDN, usage: 'server', hosts: [FQDN, 'localhost'], ...long }, serverIssuer)
  const clientRoot = await issue({ commonName: 'client root', usage: 'authority', ...long })
  const client = await issue({ commonName: CLIENT_CN, usage: 'client', ...long }, clientRoot)
  return { serverRoot, serverIssuer, server, clientRoot, client }
}

/** Runs OpenSSL in a workspace. */
export const openssl = ({ directory }: Workspace, ...args: readonly string[]) =>
  execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })

/** Makes NAME.pem and NAME.key with OpenSSL: a certificate of a new key. It is self-signed unless `more` names a CA. */
export function makeCertificate(workspace: Workspace, name: string, subject: string, ...more: readonly string[]): void {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.pem`]
  openssl(workspace, 'req', '-x509', '-nodes', '-days', '90', '-subj', `/CN=${subject}`, ...files, ...more)
}

/** Settings laid over a complete, valid configuration. */
export interface Changes {
  readonly admin?: object | undefined
  readonly listen?: object
  readonly limits?: object
  readonly log?: object
  readonly backends?: object
  readonly pools?: readonly object[]
}

/** The result of a check run. */
export interface Checked {
  readonly report: Report
  /** The report as printed, in both formats. */
  readonly text: string
  readonly json: string
  all(id: CheckId, status?: Status): Finding[]
  /** The ids with this status, each once, in the catalogue's order. */
  ids(status: Status): CheckId[]
}

export interface Site {
  readonly workspace: Workspace
  readonly pki: LongPki
  /** The one pool of the valid configuration. */
  readonly pool: object
  /** Writes the configuration with these changes. Returns its path. */
  write(changes?: Changes, name?: string): Promise<string>
  check(changes?: Changes, question?: Partial<Question>): Promise<Checked>
}

/** @param only limits the checks of this site to a part */
export async function makeSite(
  only: readonly string[] = [],
  keys: readonly TestKey[] = [],
  poolKeys: unknown = {},
): Promise<Site> {
  const pki = await makeLongPki()
  const workspace = await makeWorkspace()
  await makeStore(workspace.path('keys'), keys)
  await workspace.write('passphrase', `${PASSPHRASE}\n`)
  await workspace.write('server.pem', pki.server.certificate + pki.serverIssuer.certificate)
  await workspace.write('server.key', pki.server.key)
  await workspace.write('client-root.pem', pki.clientRoot.certificate)
  const pool = {
    name: 'contoso',
    pathPrefix: 'azureekm/contoso',
    clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-root.pem'] }],
    backend: 'store',
    keys: poolKeys,
  }
  const write = ({ listen, ...sections }: Changes = {}, name = 'gateway.yaml') => {
    const config = {
      listen: { host: '127.0.0.1', port: 0, tls: { certificate: 'server.pem', key: 'server.key' }, ...listen },
      log: { destination: 'stderr' },
      backends: { store: { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' } } },
      pools: [pool],
      ...sections,
    }
    return workspace.write(name, stringify(config))
  }
  return {
    workspace,
    pki,
    pool,
    write,
    check: async (changes, question) => checkFile(await write(changes), { only, ...question }),
  }
}

export async function checkFile(
  config: string,
  question: Partial<Question> = {},
  open?: Parameters<typeof runCheck>[3],
): Promise<Checked> {
  const reporter = new TextReporter(styleFor({}, {}))
  let text = ''
  const onFinding = (finding: Finding) => void (text += reporter.lines(finding))
  const report = await runCheck({ config, azureCertificates: [], only: [], ...question }, {}, onFinding, open)
  text += reporter.summary(report)
  const all = (id: CheckId, status?: Status) =>
    report.findings.filter((finding) => finding.id === id && (status === undefined || finding.status === status))
  return {
    report,
    text,
    json: jsonReport(report),
    all,
    ids: (status) => checkIds.filter((id) => all(id, status).length > 0),
  }
}

export interface Line {
  readonly found: RegExp
  readonly subject?: string
  readonly advice?: RegExp
  readonly command?: RegExp
}

/** Asserts that one line has this id and status, and gives a remedy. */
export function expectLine(checked: Checked, id: CheckId, status: Status, line: Line): void {
  const { found, subject, advice = /./, command } = line
  const candidates = checked.all(id, status)
  const fits = candidates.filter(
    (finding) =>
      found.test(finding.found) &&
      (subject === undefined || finding.subject === subject) &&
      (status === 'ok' || advice.test(finding.advice ?? '')) &&
      (command === undefined || command.test(finding.command ?? '')),
  )
  expect(fits, `${id} ${status}: ${JSON.stringify(candidates)}\n${checked.text}`).toHaveLength(1)
}

/** Every file under a directory, with contents and attributes, so that any change shows. */
export async function fingerprint(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { ino, mode, size, mtimeMs } = await stat(path)
    const content = entry.isFile()
      ? createHash('sha256')
          .update(await readFile(path))
          .digest('hex')
      : 'directory'
    found[path] = [ino, mode, size, mtimeMs, content].join(' ')
  }
  return found
}
