import { randomBytes, X509Certificate } from 'node:crypto'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { issue } from '../../src/commands/quickstart/certificates.ts'

/**
 * Writes the files that the installed gateway.yaml names, so that it is valid before an operator has replaced them. It
 * changes no existing file. The client's CA allows nobody, since its private key is not kept.
 */
const [directory = '/etc/ekm-gateway'] = process.argv.slice(2)
const at = (name: string) => join(directory, name)
const YEAR_MS = 365 * 24 * 3_600_000

function writeFirst(name: string, content: string, mode: number): void {
  if (!existsSync(at(name))) writeFileSync(at(name), content, { mode })
}

mkdirSync(at('secrets'), { recursive: true, mode: 0o700 })
if (!existsSync(at('server.pem')) && !existsSync(at('secrets/server.key'))) {
  const host = hostname() || 'localhost'
  const notAfter = new Date(Date.now() + YEAR_MS)
  const server = await issue({ commonName: host.slice(0, 64), usage: 'server', hosts: [host], notAfter })
  writeFirst('server.pem', server.certificate, 0o644)
  writeFirst('secrets/server.key', server.key, 0o600)
}
writeFirst('secrets/store.passphrase', randomBytes(24).toString('base64url') + '\n', 0o600)
if (!existsSync(at('azure-client.json'))) {
  const nobody = await issue({ commonName: 'replace azure-client.json', usage: 'authority' })
  const azureOutput = {
    caCertificates: [new X509Certificate(nobody.certificate).raw.toString('base64')],
    subjectCommonName: 'replace-me.managedhsmclient.azure.net',
  }
  writeFirst('azure-client.json', JSON.stringify(azureOutput, undefined, 2) + '\n', 0o644)
}
