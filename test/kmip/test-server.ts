import type { KmipOptions } from '../../adapters/kmip/index.ts'
import { Secret } from '../../adapters/contract/index.ts'
import { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'
import { issue, makePki, type Pki } from '../support/pki.ts'
import { cosmianLike, type Behaviour } from './server/behaviour.ts'
import { KmipTestServer } from './server/kmip-server.ts'

export interface StartedTestServer {
  readonly server: KmipTestServer
  readonly pki: Pki
  readonly options: KmipOptions
  /** A cluster for the test's own requests, separate from the adapter. The caller closes it. */
  cluster(): KmipCluster
}

async function makeCertificates() {
  const pki = await makePki()
  return { pki, client: await issue({ commonName: 'ekm-gateway', usage: 'client' }, pki.clientCa) }
}

/** Made once for all servers of a process: that takes several times as long as the start of one. */
let certificates: ReturnType<typeof makeCertificates> | undefined

export async function startTestServer(behaviour: Partial<Behaviour> = {}): Promise<StartedTestServer> {
  const { pki, client } = await (certificates ??= makeCertificates())
  const server = new KmipTestServer({ ...cosmianLike, ...behaviour }, pki.server, pki.clientCa.certificate)
  await server.start()
  const options: KmipOptions = {
    servers: [{ host: '127.0.0.1', port: server.port }],
    tls: {
      ca: Buffer.from(pki.serverCa.certificate),
      certificate: Buffer.from(client.certificate),
      key: new Secret(Buffer.from(client.key)),
    },
  }
  return { server, pki, options, cluster: () => new KmipCluster(options, () => undefined) }
}
