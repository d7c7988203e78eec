import { randomBytes } from 'node:crypto'
import { makeTarget, type Target } from '../../bench/http-connection.ts'
import { makePair, type Call } from '../../bench/request.ts'
import { aes256, kw } from '../../contract/reference.ts'
import { makePki, type Identity, type Pki } from '../../support/pki.ts'
import { GatewayHost } from './gateway-host.ts'
import { Network } from './network.ts'

const KEY = 'aes-1'
const DATA_KEYS = 8

/** Two gateways on hosts of their own, each with an HSM that holds the same key, and the calls for them. */
export interface Fleet {
  readonly network: Network
  readonly gateways: readonly [GatewayHost, GatewayHost]
  readonly pki: Pki
  /** Wraps and unwraps of several data keys. Each call has its one right answer. */
  readonly calls: readonly Call[]
  /** A client with this local address and a host as its target. */
  readonly target: (host: string, localAddress: string, identity?: Identity) => Target
  readonly remove: () => Promise<void>
}

export async function makeFleet(artefact: string): Promise<Fleet> {
  const pki = await makePki()
  const key = { name: KEY, value: randomBytes(32) }
  const alike = { pki, key, ticketKeys: randomBytes(48).toString('base64') }
  const network = new Network()
  const gateways = [
    await GatewayHost.make('gateway-1', network, alike),
    await GatewayHost.make('gateway-2', network, alike),
  ] as const
  const remove = async () => {
    await Promise.all(gateways.map((gateway) => gateway.remove()))
    network.remove()
  }
  await Promise.all(gateways.map((gateway) => gateway.start(artefact))).catch(async (error: unknown) => {
    await remove()
    throw error
  })
  return {
    network,
    gateways,
    pki,
    calls: Array.from({ length: DATA_KEYS }, () => randomBytes(32)).flatMap((dataKey) =>
      makePair({ pathPrefix: 'azureekm/contoso', key: KEY, alg: 'A256KW' }, dataKey, kw(aes256(key.value), dataKey)),
    ),
    target: (host, localAddress, { certificate, key: secret } = pki.client) => ({
      ...makeTarget(443, { ca: pki.serverCa.certificate, cert: certificate, key: secret }),
      host,
      localAddress,
    }),
    remove,
  }
}
