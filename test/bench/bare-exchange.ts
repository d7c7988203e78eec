import { performance } from 'node:perf_hooks'
import { crypt, keyWrap } from '../../adapters/kmip/protocol/crypt.ts'
import { encodeRequest } from '../../adapters/kmip/protocol/message.ts'
import { Connection } from '../../adapters/kmip/transport/connection.ts'
import { tlsOptions } from '../../adapters/kmip/transport/tls.ts'
import { kmipOptionsOf, type KmipServer } from './laboratory.ts'

const OPEN_MS = 2000

export interface BareExchange extends AsyncDisposable {
  /** Makes `count` exchanges, one at a time. Resolves with each duration in milliseconds. */
  take(count: number): Promise<number[]>
}

/** A wrap of `dataKey` by a KMIP server, as one TTLV message each, on a connection of its own. */
export async function bareExchange(kmip: KmipServer, dataKey: Uint8Array, wrapped: Buffer): Promise<BareExchange> {
  const options = kmipOptionsOf(kmip)
  const [server] = options.servers
  if (server === undefined) throw new Error('no server')
  const connection = await Connection.open(tlsOptions(server, options), OPEN_MS)
  const request = encodeRequest([crypt('encrypt', kmip.keyId, keyWrap('NISTKeyWrap'), dataKey)], '2.1', 1, undefined)
  const never = new AbortController().signal
  return {
    async take(count) {
      const times: number[] = []
      for (let made = 0; made < count; made += 1) {
        const start = performance.now()
        const reply = await connection.exchange(Uint8Array.from(request), never)
        times.push(performance.now() - start)
        if (!Buffer.from(reply).includes(wrapped)) throw new Error('the server wrapped something else')
      }
      return times
    },
    [Symbol.asyncDispose]: () => Promise.resolve(connection.close()),
  }
}
