import { performance } from 'node:perf_hooks'
import { crypt, keyWrap } from '../../../adapters/kmip/protocol/crypt.ts'
import { encodeRequest } from '../../../adapters/kmip/protocol/message.ts'
import { Connection } from '../../../adapters/kmip/transport/connection.ts'
import { tlsOptions } from '../../../adapters/kmip/transport/tls.ts'
import type { Figure } from '../figure.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, kmipOptionsOf, prefixes, untilRight, type KmipServer } from '../laboratory.ts'
import { serial } from '../load.ts'
import { makePair } from '../request.ts'
import { difference, paired, spreadOf } from '../statistics.ts'
import { latencies } from '../turns.ts'

const GATEWAY = 'gateway'
const EXCHANGE = 'bare TTLV exchange'
const alg = 'A256KW'

export const kmipLatency: Figure = {
  name: 'kmip-latency',
  title: 'A256KW wrap by a KMIP server, one request at a time, against the bare TTLV exchange',
  async measure(bench) {
    const { laboratory } = bench
    const { dataKey } = laboratory
    await using kmip = await laboratory.kmipServer()
    await using gateway = await laboratory.gateway({ kmip })
    const where = { pathPrefix: prefixes.kmip, key: keyNames.aes, alg }
    const [call] = makePair(where, dataKey, laboratory.wrapped(alg))
    await untilRight(gateway, call)
    const connection = await HttpConnection.open(gateway.target)
    const toServer = await connectTo(kmip)
    const request = encodeRequest([crypt('encrypt', kmip.keyId, keyWrap('NISTKeyWrap'), dataKey)], '2.1', 1, undefined)
    const never = new AbortController().signal

    const exchange = async (count: number) => {
      const times: number[] = []
      for (let made = 0; made < count; made += 1) {
        const start = performance.now()
        const reply = await toServer.exchange(Uint8Array.from(request), never)
        times.push(performance.now() - start)
        if (!Buffer.from(reply).includes(laboratory.wrapped(alg))) throw new Error('the server wrapped something else')
      }
      return times
    }
    const contestants = [
      { name: EXCHANGE, take: exchange },
      { name: GATEWAY, take: (count: number) => serial(connection, [call], count) },
    ]
    const results = await latencies(bench, contestants)
    connection.close()
    toServer.close()
    const values = (name: string) => results.get(name) ?? []
    return {
      checks: [
        {
          what: 'added to the bare exchange at the median, HTTPS included',
          relation: 'at most',
          target: 0.5,
          unit: 'ms',
          measured: spreadOf(paired(values(GATEWAY), values(EXCHANGE), difference)),
        },
      ],
      series: [EXCHANGE, GATEWAY].map((what) => ({ what, unit: 'ms at the median', values: values(what) })),
      notes: [
        "The server is that of the KMIP tests, in a process of its own on the load generator's core. It wraps by itself (NISTKeyWrap, KMIP 2.1).",
      ],
    }
  },
}

function connectTo(kmip: KmipServer): Promise<Connection> {
  const options = kmipOptionsOf(kmip)
  const [server] = options.servers
  if (server === undefined) throw new Error('no server')
  return Connection.open(tlsOptions(server, options), 2000)
}
