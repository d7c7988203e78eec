import { wrapOnToken } from '../direct-token.ts'
import type { Figure } from '../figure.ts'
import { hold, outcomeOfHeldRate, RATE, SPREAD_NOTE } from '../held-rate.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { makePair } from '../request.ts'

export const rate: Figure = {
  name: 'rate',
  title: `${RATE} requests/s, open loop, wrap and unwrap in turn, 32 keep-alive mTLS connections`,
  async measure(bench) {
    const { laboratory, plan } = bench
    const { dataKey } = laboratory
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm, hostsAway: true })
      const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey)
      const pair = (pathPrefix: string, alg: string, value: Uint8Array) =>
        makePair({ pathPrefix, key: keyNames.aes, alg }, dataKey, value)
      const onStore = (['A256KW', 'A256KWP'] as const).flatMap((alg) =>
        pair(prefixes.software, alg, laboratory.wrapped(alg)),
      )
      const onToken = pair(prefixes.hsm, 'A256KW', wrapped)
      for (const call of [...onStore, ...onToken]) await untilRight(gateway, call)
      const outcomes = []
      for (const [what, calls] of [
        ['software store', onStore],
        ['SoftHSM', onToken],
      ] as const) {
        outcomes.push(outcomeOfHeldRate(what, await hold(bench, what, gateway, calls)))
      }
      return {
        checks: outcomes.flatMap(({ checks }) => checks),
        series: outcomes.flatMap(({ series }) => series),
        notes: [`${plan.rateSeconds} s for each backend. ${SPREAD_NOTE}`, ...outcomes.flatMap(({ notes }) => notes)],
      }
    } finally {
      hsm.remove()
    }
  },
}
