import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { wrapOnToken } from '../direct-token.ts'
import { makePair } from '../request.ts'
import { paired, percents, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs } from '../turns.ts'

const SOFTWARE = 'software store'
const HSM = 'SoftHSM'
const alg = 'A256KW'

export const softhsm: Figure = {
  name: 'softhsm',
  title: 'A256KW wrap and unwrap in turn, SoftHSM against the software store, one gateway, 32 connections',
  async measure(bench) {
    const { laboratory } = bench
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm, hostsAway: true })
      const wrapped = wrapOnToken(hsm.token, keyNames.aes, laboratory.dataKey)
      const { dataKey } = laboratory
      const onStore = makePair(
        { pathPrefix: prefixes.software, key: keyNames.aes, alg },
        dataKey,
        laboratory.wrapped(alg),
      )
      const onToken = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped)
      for (const call of [...onStore, ...onToken]) await untilRight(gateway, call)
      const results = await throughputs(bench, [
        { name: SOFTWARE, server: gateway, calls: onStore },
        { name: HSM, server: gateway, calls: onToken },
      ])
      const values = (name: string) => column(results, name, 'perSecond')
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
