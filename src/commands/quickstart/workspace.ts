import { randomBytes, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { OperatorError, systemCode } from '../../../adapters/contract/index.ts'
import { administerBackend } from '../../backends/index.ts'
import { makeDirectory } from '../../backends/init-files.ts'
import { loadBackends } from '../../config/load.ts'
import { issue } from './certificates.ts'

export const PATH_PREFIX = 'azureekm/quickstart'
export const AES_KEY = 'aes-1'
export const RSA_KEY = 'rsa-1'
const CLIENT_NAME = 'quickstart.managedhsmclient.azure.net'
const PRIVATE = { mode: 0o600 }
/** Set regardless of the umask, because a gateway refuses files that every user can change. */
const PUBLIC = { mode: 0o644 }

/** The files of the quickstart. Certificates and configuration are created anew each time; keys are kept. */
export interface Workspace {
  readonly config: string
  readonly serverCa: string
  readonly client: { readonly certificate: string; readonly key: string }
  readonly keysKept: boolean
}

export async function prepareWorkspace(directory: string, port: number): Promise<Workspace> {
  const at = (name: string) => join(directory, name)
  const keysKept = await isFromQuickstart(directory)
  await makeDirectory(resolve(directory), 0o700).catch((error: unknown) => {
    throw new OperatorError('FILE_UNWRITABLE', `${directory} cannot be made (${systemCode(error)})`)
  })

  const serverCa = await issue({ commonName: 'ekm-gateway quickstart server CA', usage: 'authority' })
  const server = await issue(
    { commonName: 'localhost', usage: 'server', hosts: ['localhost', '127.0.0.1', '::1'] },
    serverCa,
  )
  const clientCa = await issue({ commonName: 'ekm-gateway quickstart client CA', usage: 'authority' })
  const client = await issue({ commonName: CLIENT_NAME, usage: 'client' }, clientCa)
  // The form of the output of `az keyvault ekm-connection certificate show`.
  const azureOutput = {
    caCertificates: [new X509Certificate(clientCa.certificate).raw.toString('base64')],
    subjectCommonName: CLIENT_NAME,
  }
  await Promise.all([
    writeFile(at('server-ca.pem'), serverCa.certificate, PUBLIC),
    writeFile(at('server.pem'), server.certificate, PUBLIC),
    writeFile(at('server.key'), server.key, PRIVATE),
    writeFile(at('client.pem'), client.certificate, PUBLIC),
    writeFile(at('client.key'), client.key, PRIVATE),
    writeFile(at('azure-client.json'), JSON.stringify(azureOutput, undefined, 2) + '\n', PUBLIC),
    writeFile(at('gateway.yaml'), configuration(port), PUBLIC),
  ])
  if (!existsSync(at('passphrase')))
    await writeFile(at('passphrase'), randomBytes(24).toString('base64url') + '\n', PRIVATE)
  await makeKeys(at('gateway.yaml'))
  return {
    config: at('gateway.yaml'),
    serverCa: at('server-ca.pem'),
    client: { certificate: at('client.pem'), key: at('client.key') },
    keysKept,
  }
}

/**
 * Whether an earlier run has left keys to keep.
 * @throws OperatorError if the directory holds something else, which must not be overwritten
 */
async function isFromQuickstart(directory: string): Promise<boolean> {
  const files = await readdir(directory).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return []
    throw new OperatorError('DIRECTORY_UNREADABLE', `${directory} cannot be read (${systemCode(error)})`)
  })
  if (files.length === 0) return false
  const config = await readFile(join(directory, 'gateway.yaml'), 'utf8').catch(() => '')
  if (config.startsWith(FIRST_LINE)) return true
  throw new OperatorError(
    'DIRECTORY_FOREIGN',
    `${directory} exists, but was not made by quickstart: give another with --directory`,
  )
}

async function makeKeys(config: string): Promise<void> {
  const { store } = loadBackends(config, {})
  const keys = store && (await administerBackend(store))
  if (keys === undefined) throw new Error('the quickstart configuration has no store')
  const wanted = [
    [AES_KEY, { kty: 'oct', bits: 256 }],
    [RSA_KEY, { kty: 'RSA', bits: 3072 }],
  ] as const
  for (const [name, spec] of wanted) {
    await keys.create(name, spec, {}).catch((error: unknown) => {
      if (!(error instanceof OperatorError) || error.code !== 'KEY_EXISTS') throw error
    })
  }
}

const FIRST_LINE = '# Made by ekm-gateway quickstart, which overwrites it at each run: change a copy.'

const configuration = (port: number) => `\
${FIRST_LINE}
# A complete configuration of ekm-gateway. docs/configuration.md explains every setting; paths are relative to this file.
listen:
  host: 127.0.0.1                # 0.0.0.0 to be reached from elsewhere
  port: ${port}                     # Azure calls port 443
  tls:
    certificate: server.pem      # must name the host that Azure calls
    key: server.key
  clientAuth: required           # only clients listed below, proven by their certificate

log:
  level: info
  destination: gateway.log       # one JSON record for each request; never a key

backends:
  store:
    kind: software               # for development and trials: the keys are in this process
    directory: keys
    passphrase: { file: passphrase }

pools:                           # one for each Azure Managed HSM
  - name: quickstart
    pathPrefix: ${PATH_PREFIX}
    clients:
      # What "az keyvault ekm-connection certificate show" prints for your Managed HSM.
      - azureCertificate: azure-client.json
    backend: store
    keys:                        # only these can be used through this pool
      ${AES_KEY}: {}
      ${RSA_KEY}: {}
`
