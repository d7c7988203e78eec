import { DirectToken } from '../direct-token.ts'
import type { Figure } from '../figure.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { serial } from '../load.ts'
import { makePair } from '../request.ts'
import { difference, paired, spreadOf } from '../statistics.ts'
import { latencies } from '../turns.ts'

const GATEWAY = 'gateway'
const DIRECT = 'direct pkcs11js calls'
const BARE = 'bare node:https handler'
const alg = 'A256KW'

export const softhsmLatency: Figure = {
  name: 'softhsm-latency',
  title: 'A256KW wrap and unwrap on SoftHSM, one request at a time, against direct pkcs11js calls',
  async measure(bench) {
    const { laboratory } = bench
    const { dataKey } = laboratory
    const hsm = await laboratory.softHsm()
    try {
      // The hosts stay on the gateway's core: only one process works at a time.
      await using gateway = await laboratory.gateway({ hsm })
      await using bare = await laboratory.bareServer('https')
      const token = new DirectToken(hsm.token, keyNames.aes)
      const wrapped = token.wrap(dataKey)
      const calls = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped)
      const kwp = laboratory.wrapped('A256KWP')
      const [bareCall] = makePair({ pathPrefix: prefixes.software, key: keyNames.aes, alg: 'A256KWP' }, dataKey, kwp)
      for (const call of calls) await untilRight(gateway, call)
      await untilRight(bare, bareCall)
      const toGateway = await HttpConnection.open(gateway.target)
      const toBare = await HttpConnection.open(bare.target)

      const contestants = [
        { name: DIRECT, take: async (count: number) => token.times(dataKey, wrapped, count) },
        { name: GATEWAY, take: (count: number) => serial(toGateway, calls, count) },
        { name: BARE, take: (count: number) => serial(toBare, [bareCall], count) },
      ]
      const results = await latencies(bench, contestants)
      for (const connection of [toGateway, toBare]) connection.close()
      token.close()
      const values = (name: string) => results.get(name) ?? []
      const added = paired(values(GATEWAY), values(DIRECT), difference)
      const withoutHttps = paired(added, values(BARE), difference)
      return {
        checks: [
          {
            what: 'added to the direct calls at the median, HTTPS included',
            relation: 'at most',
            target: 0.4,
            unit: 'ms',
            measured: spreadOf(added),
          },
        ],
        series: [
          ...[DIRECT, GATEWAY, BARE].map((what) => ({ what, unit: 'ms at the median', values: values(what) })),
          { what: 'added beyond the bare node:https handler', unit: 'ms at the median', values: withoutHttps },
        ],
        notes: [
          'The check counts the whole way: the request over mTLS and its reply, the gateway, the channel to the HSM host.',
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}
