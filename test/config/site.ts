import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { expect } from 'vitest'
import { ConfigInvalid, loadConfig, type Environment } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Problem } from '../../src/config/problem.ts'
import { issue, makeClient, makePki, CLIENT_CN } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'

/** Secrets that these configurations name, or hold by mistake. No message may repeat one. */
export const CANARY = 'canary-0f5e1d'
export const PASSPHRASE = `${CANARY}-passphrase`

/** A complete configuration. Tests change parts of it, and mark with `#!` the line that a message must name. */
export const GOOD = `\
listen:
  host: 127.0.0.1
  port: 0
  tls: { certificate: server.pem, key: server.key }
limits:
  deadlineMs: 200
backends:
  store:
    kind: software
    directory: keys
    passphrase: { file: passphrase }
pools:
  - name: contoso
    pathPrefix: azureekm/contoso
    clients:
      - azureCertificate: azure.json
    backend: store
    keys: all
`

export interface Site {
  readonly workspace: Workspace
  write(yaml: string): Promise<string>
}

const der = (pem: string) => new X509Certificate(pem).raw.toString('base64')
const azureOutput = (...caCertificates: string[]) => JSON.stringify({ caCertificates, subjectCommonName: CLIENT_CN })

/** A directory with every file that the configurations name, valid and invalid ones. */
export async function makeSite(): Promise<Site> {
  const pki = await makePki()
  const workspace = await makeWorkspace()
  const issuing = await issue({ commonName: 'issuing CA', usage: 'authority' }, pki.clientCa)
  const otherRoot = await issue({ commonName: 'other root', usage: 'authority' })
  const stranger = await makeClient(undefined)
  const root = pki.clientCa.certificate
  const cutShort = root.replace(/\n[^\n]+\n-----END/, '\n-----END')
  const files: Readonly<Record<string, string>> = {
    'server.pem': pki.server.certificate,
    'server.key': pki.server.key,
    'other.key': stranger.key,
    'root.pem': root,
    'issuing.pem': issuing.certificate,
    'no-ca.pem': stranger.certificate,
    'bundle.pem': `# a comment\n${root}${issuing.certificate}`,
    'cut.pem': root + cutShort,
    'no-end.pem': root + root.slice(0, 200),
    'text.txt': 'not a certificate\n',
    passphrase: PASSPHRASE + '\n',
    empty: '\n',
    'azure.json': azureOutput(der(root)),
    'azure-several.json': azureOutput(der(root), der(issuing.certificate), der(otherRoot.certificate)),
    'azure-pem.json': azureOutput(root + issuing.certificate),
    'azure-no-root.json': azureOutput(der(issuing.certificate)),
    'azure-cut.json': azureOutput(der(root), cutShort),
    'azure-junk.json': azureOutput('bm90IGEgY2VydGlmaWNhdGU='),
    'azure-none.json': azureOutput(),
    'azure-shape.json': JSON.stringify({ subjectCommonName: CLIENT_CN, certificate: `${CANARY}-json` }),
    'azure-nameless.json': JSON.stringify({ subjectCommonName: '', caCertificates: [der(root)] }),
    'azure-text.json': `${CANARY}-not-json`,
  }
  for (const [name, content] of Object.entries(files)) await workspace.write(name, content)
  await mkdir(workspace.path('directory'))
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: workspace.directory, stdio: 'pipe' })
  const pair = ['-inkey', 'server.key', '-in', 'server.pem']
  openssl('pkcs12', '-export', ...pair, '-out', 'server.p12', '-passout', 'file:passphrase')
  openssl('pkcs12', '-export', ...pair, '-out', 'open.p12', '-passout', 'pass:')
  openssl('pkcs12', '-export', '-nokeys', '-in', 'server.pem', '-out', 'keyless.p12', '-passout', 'pass:')
  for (const name of ['server', 'root']) {
    openssl('x509', '-in', `${name}.pem`, '-outform', 'der', '-out', `${name}.der`)
  }
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-keyout',
    'rsa.key',
    '-out',
    'rsa.pem',
  )
  openssl('pkcs8', '-topk8', '-in', 'server.key', '-out', 'encrypted.key', '-passout', 'file:passphrase')
  return { workspace, write: (yaml) => workspace.write('gateway.yaml', yaml) }
}

/** The software backend with this name. */
export function softwareBackend(backends: Config['backends'], name: string) {
  const backend = backends[name]
  if (backend?.kind !== 'software') throw new Error(`no software backend ${name}`)
  return backend
}

/** All problems of a configuration. Each message is searched for secrets. */
export function problemsOf(file: string, environment: Environment = {}): readonly Problem[] {
  try {
    loadConfig(file, environment)
  } catch (error) {
    if (!(error instanceof ConfigInvalid)) throw error
    expect(error.message).not.toContain(CANARY)
    expect(error.message.split('\n')).toHaveLength(error.problems.length)
    return error.problems
  }
  return []
}

export const markedLines = (yaml: string): number[] =>
  yaml.split('\n').flatMap((line, index) => (line.includes('#!') ? [index + 1] : []))
