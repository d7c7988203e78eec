import { setTimeout as sleep } from 'node:timers/promises'
import type { Action } from '../../kmip/support/relay.ts'
import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { openConnections, openLoop } from '../load.ts'
import { makePair } from '../request.ts'
import { difference, paired, quantile, spreadOf, sum } from '../statistics.ts'
import { inTurns } from '../turns.ts'

const RATE = 200
const SLOW_RATE = 40
const CONNECTIONS = 16
/** Time until the gateway knows that the key is slow. Before that it opens connections for all waiting calls. */
const LEAD_MS = 1000
const QUIET = 'both keys well'
const alg = 'A256KW'

const faults: readonly { readonly name: string; readonly action: Action }[] = [
  { name: 'the other key takes 85 ms', action: { kind: 'delay', ms: 85 } },
  { name: 'the other key takes 600 ms', action: { kind: 'delay', ms: 600 } },
  { name: 'the other key is never answered', action: { kind: 'swallow' } },
]

export const slowKey: Figure = {
  name: 'slow-key',
  title: `${RATE} A256KW wraps and unwraps/s with one key of a KMIP server beside ${SLOW_RATE}/s with a slow one`,
  async measure(bench) {
    const { laboratory, plan } = bench
    await using kmip = await laboratory.kmipServer()
    await using relayed = await laboratory.kmipRelay(kmip)
    await using gateway = await laboratory.gateway({ kmip: relayed })
    const pair = (key: string) =>
      makePair({ pathPrefix: prefixes.kmip, key, alg }, laboratory.dataKey, laboratory.wrapped(alg))
    const [ours, theirs] = [pair(keyNames.aes), pair(keyNames.slow)]
    for (const call of [...ours, ...theirs]) await untilRight(gateway, call)
    const connections = await openConnections(gateway.target, 2 * CONNECTIONS)
    const seconds = 2 * plan.seconds
    let failed = 0
    const run = async (action?: Action) => {
      relayed.relay.rules = action === undefined ? [] : [{ key: kmip.slowKeyId, action }]
      const slow = { connections: connections.slice(CONNECTIONS), calls: theirs, rate: SLOW_RATE }
      const beside = openLoop(slow, seconds + LEAD_MS / 1000)
      await sleep(LEAD_MS)
      const well = { connections: connections.slice(0, CONNECTIONS), calls: ours, rate: RATE }
      const { times, failures } = await openLoop(well, seconds)
      await beside
      relayed.relay.rules = []
      for (const call of theirs) await untilRight(gateway, call)
      failed += sum(Object.values(failures))
      return quantile(times, 0.99)
    }
    await run()
    const results = await inTurns(bench, [
      { name: QUIET, turn: () => run() },
      ...faults.map(({ name, action }) => ({ name, turn: () => run(action) })),
    ])
    for (const connection of connections) connection.close()
    const values = (name: string) => results.get(name) ?? []
    return {
      checks: [
        ...faults.map(({ name }) => ({
          what: `${name}: 99th percentile rises by`,
          relation: 'at most' as const,
          target: 10,
          unit: 'ms' as const,
          measured: spreadOf(paired(values(name), values(QUIET), difference)),
        })),
        {
          what: 'failed requests with the key that is well',
          relation: 'at most',
          target: 0,
          unit: 'of',
          measured: spreadOf([failed]),
        },
      ],
      series: [QUIET, ...faults.map(({ name }) => name)].map((what) => ({
        what,
        unit: 'ms at the 99th percentile',
        values: values(what),
      })),
      notes: [
        `Open loop, ${seconds} s a turn, from ${LEAD_MS / 1000} s after the fault begins. The relay that makes the key slow shares the load generator's core. The deadline is the gateway's default, 200 ms.`,
      ],
    }
  },
}
