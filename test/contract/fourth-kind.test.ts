import { Secret, type KeyRef } from '../../adapters/contract/index.ts'
import { open } from '../fourth-kind/adapter/index.ts'
import { TransitServer } from '../fourth-kind/transit-server.ts'
import { describeAdapter } from './suite.ts'

describeAdapter({
  name: 'a kind of backend that only the tests have',
  algorithms: ['RSA-OAEP-256'],
  canDisable: false,
  dates: [],
  start: async (keys) => {
    const server = new TransitServer()
    await server.start()
    for (const { name, material } of keys) server.add(name, material.kty === 'RSA' ? material.jwk : undefined)
    const token = new Secret(Buffer.from(server.token))
    const adapter = await open({ address: server.address, token, connections: 8 }, () => undefined)
    return {
      adapter,
      ref: (name) => name as KeyRef,
      stop: async () => {
        await adapter.close()
        await server.stop()
      },
    }
  },
})
