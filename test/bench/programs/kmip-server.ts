/**
 * The test server of test/kmip as a program, with two AES keys named `aes` and `slow`. Standard input brings a {@link
 * KmipServerInput}. The first line of standard output is the port and the keys' ids.
 */
import { text } from 'node:stream/consumers'
import { KmipCluster } from '../../../adapters/kmip/transport/cluster.ts'
import { Secret } from '../../../adapters/contract/index.ts'
import { activateIfNeeded, registerAes } from '../../kmip/register.ts'
import { cosmianLike } from '../../kmip/server/behaviour.ts'
import { KmipTestServer } from '../../kmip/server/kmip-server.ts'
import type { Identity } from '../../support/pki.ts'

export interface KmipServerInput {
  readonly server: Identity
  readonly serverCa: string
  readonly client: Identity
  readonly clientCa: string
  /** The key-encryption key, base64url. */
  readonly kek: string
}

export interface KmipServerOutput {
  readonly port: number
  readonly keyId: string
  /** The identifier of a second key with the same value. */
  readonly slowKeyId: string
}

const input = JSON.parse(await text(process.stdin)) as KmipServerInput
const server = new KmipTestServer(cosmianLike, input.server, input.clientCa)
await server.start()
const cluster = new KmipCluster(
  {
    servers: [{ host: '127.0.0.1', port: server.port }],
    tls: {
      ca: Buffer.from(input.serverCa),
      certificate: Buffer.from(input.client.certificate),
      key: new Secret(Buffer.from(input.client.key)),
    },
  },
  () => undefined,
)
async function register(name: string): Promise<string> {
  const id = await registerAes(cluster, Buffer.from(input.kek, 'base64url'), { name })
  await activateIfNeeded(cluster, id)
  return id
}
const [keyId, slowKeyId] = [await register('aes'), await register('slow')]
cluster.close()
process.stdout.write(JSON.stringify({ port: server.port, keyId, slowKeyId } satisfies KmipServerOutput) + '\n')
process.once('SIGTERM', () => process.exit(0))
