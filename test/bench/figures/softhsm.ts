import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { DirectToken } from '../direct-token.ts'
import { makePair } from '../request.ts'
import { difference, mean, paired, percents, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs } from '../turns.ts'

const SOFTWARE = 'software store'
const HSM = 'SoftHSM'
const alg = 'A256KW'
const DIRECT_CALLS = 2000
const US_PER_SECOND = 1e6

export const softhsm: Figure = {
  name: 'softhsm',
  title: 'A256KW wrap and unwrap in turn, SoftHSM against the software store, one gateway, 32 connections',
  async measure(bench) {
    const { laboratory } = bench
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm, hostsAway: true })
      const { dataKey } = laboratory
      const token = new DirectToken(hsm.token, keyNames.aes)
      const wrapped = token.wrap(dataKey)
      const direct = Array.from(
        { length: bench.plan.repetitions },
        () => 1000 * mean(token.times(dataKey, wrapped, DIRECT_CALLS)),
      )
      token.close()
      const onStore = makePair(
        { pathPrefix: prefixes.software, key: keyNames.aes, alg },
        dataKey,
        laboratory.wrapped(alg),
      )
      const onToken = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped)
      for (const call of [...onStore, ...onToken]) await untilRight(gateway, call)
      const results = await throughputs(bench, [
        { name: SOFTWARE, server: gateway, calls: onStore },
        { name: HSM, server: gateway, calls: onToken, besideGenerator: true },
      ])
      const values = (name: string) => column(results, name, 'perSecond')
      const cost = (name: string, member: 'serverBusy' | 'childrenBusy') =>
        paired(column(results, name, member), values(name), (busy, perSecond) => (US_PER_SECOND * busy) / perSecond)
      const ofHosts = cost(HSM, 'childrenBusy')
      return {
        checks: [
          {
            what: 'SoftHSM throughput against the software store',
            relation: 'at least',
            target: 0.7,
            unit: '×',
            measured: spreadOf(paired(values(HSM), values(SOFTWARE), ratio)),
          },
        ],
        series: [
          ...[SOFTWARE, HSM].map((what) => ({ what, unit: 'requests/s', values: values(what) })),
          {
            what: 'SoftHSM: gateway and HSM hosts together',
            unit: '% of a core',
            values: percents(column(results, HSM, 'serverBusy')),
          },
          { what: 'software store: the gateway', unit: 'µs of CPU a call', values: cost(SOFTWARE, 'serverBusy') },
          {
            what: 'SoftHSM: the gateway',
            unit: 'µs of CPU a call',
            values: paired(cost(HSM, 'serverBusy'), ofHosts, difference),
          },
          { what: 'SoftHSM: the HSM hosts', unit: 'µs of CPU a call', values: ofHosts },
          { what: 'SoftHSM itself, direct pkcs11js calls of one process', unit: 'µs a call', values: direct },
        ],
        notes: [
          "SoftHSM runs in the gateway's HSM hosts, which share the load generator's core. " +
            'A real HSM has a processor of its own.',
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}
