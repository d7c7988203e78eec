import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { makePair } from '../request.ts'
import { paired, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs } from '../turns.ts'

const ONE = '1 worker'
const TWO = '2 workers'

export const workers: Figure = {
  name: 'workers',
  title: 'CPU time of a request with 2 workers against 1, A256KWP wrap, software store, 32 connections',
  async measure(bench) {
    const { laboratory } = bench
    await using one = await laboratory.gateway({ workers: 1 })
    await using two = await laboratory.gateway({ workers: 2 })
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    for (const server of [one, two]) await untilRight(server, call)
    const results = await throughputs(bench, [
      { name: ONE, server: one, calls: [call] },
      { name: TWO, server: two, calls: [call] },
    ])
    const microseconds = (name: string) => column(results, name, 'perCpuSecond').map((count) => 1e6 / count)
    return {
      checks: [
        {
          what: 'CPU time of a request',
          relation: 'at most',
          target: 1.1,
          unit: '×',
          measured: spreadOf(paired(microseconds(TWO), microseconds(ONE), ratio)),
        },
      ],
      series: [
        ...[ONE, TWO].map((what) => ({ what, unit: 'µs of CPU a request', values: microseconds(what) })),
        ...[ONE, TWO].map((what) => ({ what, unit: 'requests/s', values: column(results, what, 'perSecond') })),
      ],
      notes: ['All processes of the gateway count. They may use every core. The load generator has the second.'],
    }
  },
}
