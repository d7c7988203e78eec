import { randomBytes, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { loadConfig } from '../../config/load.ts'
import { startGateway } from '../../gateway/start.ts'
import { quoted } from '../../base/shell.ts'
import { apiVersion } from '../../base/version.ts'
import { startedAs } from '../started-as.ts'
import { print, StopSignals } from '../terminal.ts'
import { Client, type Reply } from './client.ts'
import { AES_KEY, PATH_PREFIX, prepareWorkspace, RSA_KEY, type Workspace } from './workspace.ts'

/** Shows the whole product once, on this machine. */
export async function quickstart(directory: string, wantedPort: number, once: boolean): Promise<void> {
  const told = new StopSignals().next()
  print('ekm-gateway quickstart')
  print()
  const workspace = await prepareWorkspace(directory, wantedPort)
  const made = workspace.keysKept
    ? 'fresh certificates beside the keys of the last time'
    : 'certificates, keys and a configuration'
  print(`1. Made throwaway ${made} in ${directory}/`)

  const start = performance.now()
  const gateway = await startGateway(loadConfig(workspace.config, {}))
  const base = `https://localhost:${gateway.port}/${PATH_PREFIX}`
  print(`2. Serving ${base} over mutual TLS, ready in ${(performance.now() - start).toFixed(0)} ms`)
  print('3. A client that stands in for Azure Managed HSM makes the four calls:')
  try {
    const client = new Client(workspace, gateway.port)
    await tour(client)
    client.close()
    if (once) return
    printNextSteps(base, directory, workspace)
    await told
    print()
  } finally {
    await gateway.drain()
    print('Stopped.')
  }
}

async function tour(client: Client): Promise<void> {
  await call(client, 'info', {})
  await call(client, `${AES_KEY}/metadata`, {})
  await roundTrip(client, AES_KEY, 'A256KWP', randomBytes(32))
  await roundTrip(client, RSA_KEY, 'RSA-OAEP-256', randomBytes(32))
}

async function roundTrip(client: Client, key: string, alg: string, dataKey: Buffer): Promise<void> {
  print()
  print(`   A data key of ${dataKey.length} bytes goes out wrapped under ${key} (${alg}) and comes back:`)
  const { value: wrapped } = await call(client, `${key}/wrapkey`, { alg, value: dataKey.toString('base64url') })
  const { value: unwrapped } = await call(client, `${key}/unwrapkey`, { alg, value: wrapped })
  if (unwrapped !== dataKey.toString('base64url')) {
    throw new OperatorError('ROUND_TRIP_FAILED', `what came back from ${key} is not the data key that was wrapped`)
  }
  print(`   The same ${dataKey.length} bytes came back.`)
}

async function call(client: Client, operation: string, members: object): Promise<Reply['body']> {
  const path = `/${PATH_PREFIX}/${operation}`
  const body = { request_context: { correlation_id: randomUUID(), pool_name: 'quickstart' }, ...members }
  print()
  print(`   -> POST ${path}?api-version=${apiVersion}`)
  print(`      ${shorten(body)}`)
  const reply = await client.post(path, body)
  print(`   <- ${reply.status} in ${reply.milliseconds.toFixed(1)} ms`)
  print(`      ${shorten(reply.body)}`)
  if (reply.status !== 200) throw new OperatorError('QUICKSTART_FAILED', `${path} answered ${reply.status}`)
  return reply.body
}

/** One line, with long values cut. */
const shorten = (body: object): string =>
  JSON.stringify(body, (_name, value: unknown) =>
    typeof value === 'string' && value.length > 80 ? `${value.slice(0, 60)}… (${value.length} characters)` : value,
  )

function printNextSteps(base: string, directory: string, { serverCa, client, config }: Workspace): void {
  print(`
The gateway keeps serving. From another terminal:

  curl --cacert ${quoted(serverCa)} --cert ${quoted(client.certificate)} --key ${quoted(client.key)} \\
    -H 'content-type: application/json' \\
    -d '{"request_context":{"correlation_id":"1","pool_name":"me"}}' \\
    '${base}/info?api-version=${apiVersion}'

  ${startedAs()} keys create my-key --type RSA --config ${quoted(config)}
  tail -f ${quoted(join(directory, 'gateway.log'))}

With a Managed HSM of your own, a public host name and port 443:

  az keyvault ekm-connection certificate show --hsm-name HSM > azure-client.json   # goes into the configuration
  az keyvault ekm-connection create --hsm-name HSM --host HOST --server-ca-certificate CA.pem --path-prefix /${PATH_PREFIX}
  az keyvault ekm-connection check --hsm-name HSM                                  # calls info
  az keyvault key create --hsm-name HSM --name KEY --external-key-id ${AES_KEY}      # calls metadata

Ctrl-C stops it.`)
}
