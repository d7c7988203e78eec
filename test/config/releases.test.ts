import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeList } from '../support/crl.ts'
import { CLIENT_CN, makePki } from '../support/pki.ts'
import { makeWorkspace, type Workspace } from '../support/workspace.ts'
import { PASSPHRASE, problemsOf } from './site.ts'

const root = fileURLToPath(new URL('releases', import.meta.url))
const environment = { HSM_PIN: PASSPHRASE, STORE_PASSPHRASE: PASSPHRASE }

let workspace: Workspace
beforeAll(async () => {
  const pki = await makePki()
  workspace = await makeWorkspace()
  const ca = pki.clientCa.certificate
  const azure = { caCertificates: [new X509Certificate(ca).raw.toString('base64')], subjectCommonName: CLIENT_CN }
  const files: Readonly<Record<string, string | Uint8Array>> = {
    'server.pem': pki.server.certificate,
    'server.key': pki.server.key,
    'client.pem': pki.client.certificate,
    'client.key': pki.client.key,
    'ca.pem': ca,
    'ca.crl': await makeList(pki.clientCa),
    'azure-client.json': JSON.stringify(azure),
    'tickets.key': Buffer.alloc(48, 1),
    passphrase: `${PASSPHRASE}\n`,
  }
  for (const [name, content] of Object.entries(files)) await workspace.write(name, content)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: workspace.directory, stdio: 'pipe' })
  const pair = ['-inkey', 'server.key', '-in', 'server.pem']
  openssl('pkcs12', '-export', ...pair, '-out', 'server.p12', '-passout', 'file:passphrase')
  openssl('pkcs8', '-topk8', '-in', 'client.key', '-out', 'encrypted.key', '-passout', 'file:passphrase')
})
afterAll(() => workspace.remove())

/** A change that removes or narrows a setting breaks the configurations of operators. It fails here first. */
describe.each(readdirSync(root))('a configuration of release %s', (release) => {
  const names = readdirSync(`${root}/${release}`)

  it('is kept with every setting, and as the documents show it', () => {
    expect(names).toEqual(expect.arrayContaining(['every-setting.yaml', 'kmip.yaml', 'pkcs11.yaml', 'quickstart.yaml']))
  })

  it.each(names)('is still valid: %s', async (name) => {
    const file = await workspace.write('gateway.yaml', readFileSync(`${root}/${release}/${name}`))
    expect(problemsOf(file, environment)).toEqual([])
  })

  it('has its problems found', async () => {
    const text = readFileSync(`${root}/${release}/quickstart.yaml`, 'utf8').replace('pathPrefix', 'prefix')
    expect(problemsOf(await workspace.write('gateway.yaml', text), environment)).not.toEqual([])
  })
})
