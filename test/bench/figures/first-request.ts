import { performance } from 'node:perf_hooks'
import type { Figure } from '../figure.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, prefixes, untilRight, type Server } from '../laboratory.ts'
import { assertRight, makePair, type Call } from '../request.ts'
import { paired, ratio, spreadOf } from '../statistics.ts'
import { latencies } from '../turns.ts'

const GATEWAY = 'gateway'
const BARE = 'bare node:https'
const alg = 'A256KWP'

export const firstRequest: Figure = {
  name: 'first-request',
  title: 'full handshake, A256KWP wrap and reply on a new connection, one at a time, software store',
  async measure(bench) {
    const { laboratory } = bench
    await using gateway = await laboratory.gateway()
    await using bare = await laboratory.bareServer('https')
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    for (const server of [gateway, bare]) await untilRight(server, call)
    const results = await latencies(bench, [
      { name: BARE, take: (count) => first(bare, call, count) },
      { name: GATEWAY, take: (count) => first(gateway, call, count) },
    ])
    const values = (name: string) => results.get(name) ?? []
    return {
      checks: [
        {
          what: 'gateway / bare node:https, at the median',
          relation: 'at most',
          target: 1.5,
          unit: '×',
          measured: spreadOf(paired(values(GATEWAY), values(BARE), ratio)),
        },
      ],
      series: [BARE, GATEWAY].map((what) => ({ what, unit: 'ms at the median', values: values(what) })),
      notes: ['The time counts from the start of the TCP connection to the reply, at the client.'],
    }
  },
}

/** The duration of each new connection with its one request, in milliseconds. */
async function first({ target }: Server, call: Call, count: number): Promise<number[]> {
  const times: number[] = []
  for (let made = 0; made < count; made += 1) {
    const start = performance.now()
    const connection = await HttpConnection.open(target)
    const reply = await connection.exchange(call.request)
    times.push(performance.now() - start)
    assertRight(call, reply)
    if (connection.resumed) throw new Error('a new connection resumed a session')
    await connection.end()
  }
  return times
}
