import type { Bench, Figure } from '../figure.ts'
import { wrapOnToken } from '../direct-token.ts'
import { keyNames, prefixes, untilRight, type Server } from '../laboratory.ts'
import { openConnections, openLoop, OWN_DELAY, WARM_UP_SHARE, type OpenLoopResult } from '../load.ts'
import { makePair, type Call } from '../request.ts'
import { quantile, spreadOf, sum } from '../statistics.ts'
import { CONNECTIONS } from '../turns.ts'

/** The quota that AWS publishes for the same task (KMS external key stores). Azure publishes none. */
const RATE = 1800
const WINDOWS = 6

const quantiles = [
  ['median', 0.5],
  ['99.9th percentile', 0.999],
  ['longest', 1],
] as const

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
      const store = await hold(bench, 'software store', gateway, onStore)
      const token1 = await hold(bench, 'SoftHSM', gateway, onToken)
      const all = [store, token1]
      return {
        checks: all.flatMap(({ what, result }) => {
          const failed = sum(Object.values(result.failures))
          return [
            {
              what: `${what}: failed requests`,
              relation: 'at most' as const,
              target: 0,
              unit: 'of' as const,
              measured: spreadOf([failed]),
            },
            {
              what: `${what}: 99th percentile`,
              relation: 'at most' as const,
              target: 10,
              unit: 'ms' as const,
              measured: { ...spreadOf(windows(result.times)), median: quantile(result.times, 0.99) },
            },
          ]
        }),
        series: all.flatMap(({ what, result }) => [
          ...quantiles.map(([name, share]) => ({
            what: `${what}: ${name}`,
            unit: 'ms',
            values: [quantile(result.times, share)],
          })),
          { what: `${what}: ${OWN_DELAY}`, unit: 'ms', values: [result.ownDelay] },
        ]),
        notes: [
          `${plan.rateSeconds} s for each backend. A request's time counts from its due time. The spread is that of ${WINDOWS} parts of the run.`,
          ...all.flatMap(({ what, result: { failures } }) =>
            Object.entries(failures).map(([failure, count]) => `${what}: ${count} × ${failure}.`),
          ),
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}

async function hold(
  { plan, progress }: Bench,
  what: string,
  { target }: Server,
  calls: readonly Call[],
): Promise<{ what: string; result: OpenLoopResult }> {
  progress(`${what}, warming up`)
  const connections = await openConnections(target, CONNECTIONS)
  await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds / WARM_UP_SHARE)
  progress(`${what}, ${plan.rateSeconds} s`)
  const result = await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds)
  for (const connection of connections) connection.close()
  return { what, result }
}

/** The 99th percentile of each part of a run. */
function windows(times: readonly number[]): number[] {
  const length = Math.ceil(times.length / WINDOWS)
  return Array.from({ length: WINDOWS }, (_, index) =>
    quantile(times.slice(index * length, (index + 1) * length), 0.99),
  )
}
