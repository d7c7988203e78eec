import { quoted } from '../../base/shell.ts'
import { startedAs } from '../started-as.ts'
import type { PoolKeys } from './keys.ts'
import type { CertificateRequest } from './server.ts'

export interface AzureFacts {
  readonly hsm: string
  readonly host: string
  readonly port: number
  readonly prefix: string
  /** Absolute path; `undefined` while there is no certificate. */
  readonly serverCa: string | undefined
  readonly request?: CertificateRequest
  readonly keys: PoolKeys
  readonly config: string
  /** The one that the gateway runs as, if that is not the user of this command. */
  readonly user: string | undefined
  /** Names of the environment variables that hold its secrets. */
  readonly variables: readonly string[]
}

const AZURE_PORT = 443

/** What is left to do, line for line as it is typed. */
export function nextSteps(facts: AzureFacts): string {
  const { config, host, serverCa, request, variables, user } = facts
  const ca = serverCa === undefined ? 'ROOT-CA.pem' : quoted(serverCa)
  const [as, run] = user === undefined ? ['', ''] : [` --as ${quoted(user)}`, `runuser -u ${quoted(user)} -- `]
  const check = `${startedAs()} check${as} --config ${quoted(config)} --fqdn ${quoted(host)} --server-ca ${ca}`
  const awaited =
    request === undefined
      ? ''
      : `
Send ${quoted(request.file)} to your CA, and put what it issues, followed by its intermediates, at
${quoted(request.certificate)}. ROOT-CA.pem below is that CA's root.
`
  const environment = variables.length === 0 ? '' : `, with ${variables.join(' and ')} in the environment`
  return `${awaited}
On this machine${environment}:

  ${check}
  ${run}${startedAs()} serve --config ${quoted(config)}

In Azure, once it serves:

${azureLines(facts, ca)}

${portAdvice(facts)}`
}

/** The connection, its check, and one key for each external key id. */
function azureLines({ hsm, host, prefix, keys }: AzureFacts, ca: string): string {
  const name = quoted(hsm)
  return [
    `az keyvault ekm-connection create --hsm-name ${name} --host ${quoted(host)} --server-ca-certificate ${ca}` +
      (prefix === '' ? '' : ` --path-prefix ${quoted(`/${prefix}`)}`),
    `az keyvault ekm-connection check --hsm-name ${name}`,
    ...Object.keys(keys).map(
      (key) => `az keyvault key create --hsm-name ${name} --name ${key} --external-key-id ${key}`,
    ),
  ]
    .map((line) => `  ${line}`)
    .join('\n')
}

const portAdvice = ({ port, host }: AzureFacts): string =>
  port === AZURE_PORT
    ? `${host} must lead to this machine, by IPv4, with TLS passed through.`
    : `Azure calls port ${AZURE_PORT} of ${host}: see to it that this leads to port ${port} here, with TLS passed through.`
