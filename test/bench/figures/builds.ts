import { NotAvailable, type Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { makePair } from '../request.ts'
import { paired, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs, withNewServers } from '../turns.ts'

const THIS = 'this build'
const OTHER = 'the other build'

/** For developers who change code on a request's path. */
export const builds: Figure = {
  name: 'builds',
  title: 'A256KWP wrap, software store, 32 connections: this build against another (--cli FILE)',
  onlyByName: true,
  async measure(bench) {
    const { laboratory, otherCli } = bench
    if (otherCli === undefined) throw new NotAvailable('name the other build with --cli FILE')
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    const results = await withNewServers(bench, async (once) => {
      await using mine = await laboratory.gateway()
      await using other = await laboratory.gateway({ cli: otherCli })
      for (const server of [mine, other]) await untilRight(server, call)
      return await throughputs(once, [
        { name: THIS, server: mine, calls: [call] },
        { name: OTHER, server: other, calls: [call] },
      ])
    })
    const against = (member: 'perSecond' | 'perCpuSecond') =>
      spreadOf(paired(column(results, THIS, member), column(results, OTHER, member), ratio))
    const noSlower = { relation: 'at least', target: 0.97, unit: '×' } as const
    return {
      checks: [
        { ...noSlower, what: 'throughput against the other build', measured: against('perSecond') },
        { ...noSlower, what: 'requests for each second of CPU', measured: against('perCpuSecond') },
      ],
      series: [THIS, OTHER].flatMap((name) => [
        { what: name, unit: 'requests/s', values: column(results, name, 'perSecond') },
        { what: `${name}, for each second of CPU`, unit: 'requests', values: column(results, name, 'perCpuSecond') },
      ]),
      notes: [],
    }
  },
}
