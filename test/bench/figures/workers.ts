import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { makePair } from '../request.ts'
import { paired, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs } from '../turns.ts'

const ONE = '1 worker'
const THREE = '3 workers'

export const workers: Figure = {
  name: 'workers',
  title: '3 workers against 1, A256KWP wrap, software store, 32 connections',
  async measure(bench) {
    const { laboratory } = bench
    await using one = await laboratory.gateway({ workers: 1 })
    await using three = await laboratory.gateway({ workers: 3 })
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    for (const server of [one, three]) await untilRight(server, call)
    const results = await throughputs(bench, [
      { name: ONE, server: one, calls: [call], besideGenerator: true },
      { name: THREE, server: three, calls: [call], besideGenerator: true },
    ])
    const perCpuSecond = (name: string) => column(results, name, 'perCpuSecond')
    const microseconds = (name: string) => perCpuSecond(name).map((count) => 1e6 / count)
    return {
      checks: [
        {
          what: 'requests for each second of CPU',
          relation: 'at least',
          target: 0.78,
          unit: '×',
          measured: spreadOf(paired(perCpuSecond(THREE), perCpuSecond(ONE), ratio)),
        },
      ],
      series: [
        ...[ONE, THREE].map((what) => ({ what, unit: 'µs of CPU a request', values: microseconds(what) })),
        ...[ONE, THREE].map((what) => ({ what, unit: 'requests/s', values: column(results, what, 'perSecond') })),
      ],
      notes: ['All processes of the gateway count. They may use every core. The load generator has the second.'],
    }
  },
}
