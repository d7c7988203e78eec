import type { Figure } from '../figure.ts'
import { bareExchange } from '../bare-exchange.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
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
    await using bare = await bareExchange(kmip, dataKey, laboratory.wrapped(alg))
    const contestants = [
      { name: EXCHANGE, take: (count: number) => bare.take(count) },
      { name: GATEWAY, take: (count: number) => serial(connection, [call], count) },
    ]
    const results = await latencies(bench, contestants)
    connection.close()
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
