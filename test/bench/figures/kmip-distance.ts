import { farFrom } from '../../kmip/far-server.ts'
import type { Bench, Figure } from '../figure.ts'
import { bareExchange } from '../bare-exchange.ts'
import { keyNames, prefixes, untilRight, type KmipServer } from '../laboratory.ts'
import { openConnections, openLoop, type OpenLoopResult } from '../load.ts'
import { makePair } from '../request.ts'
import { difference, median, paired, quantile, spreadOf, sum } from '../statistics.ts'

const RATE = 200
const CONNECTIONS = 32
const ROUND_TRIPS_MS = [20, 50, 100]
/** Bare exchanges are made one after the other for this share of a turn. */
const BARE_SHARE = 0.8
const alg = 'A256KW'

interface Turn {
  readonly bare: number
  readonly typical: number
  readonly late: number
  readonly failures: OpenLoopResult['failures']
  readonly longestOwnDelay: number
}

export const kmipDistance: Figure = {
  name: 'kmip-distance',
  title: `${RATE} A256KW wraps and unwraps/s, open loop, by a KMIP server that is far away`,
  async measure(bench) {
    await using kmip = await bench.laboratory.kmipServer()
    const measured: (readonly [roundTripMs: number, turns: readonly Turn[]])[] = []
    for (const roundTripMs of ROUND_TRIPS_MS) measured.push([roundTripMs, await at(bench, kmip, roundTripMs)])
    return {
      checks: measured.flatMap(([ms, turns]) => [
        {
          what: `${ms} ms away: added to the bare exchange at the median`,
          relation: 'at most' as const,
          target: 2,
          unit: 'ms' as const,
          measured: spreadOf(paired(of(turns, 'typical'), of(turns, 'bare'), difference)),
        },
        {
          what: `${ms} ms away: failed requests`,
          relation: 'at most' as const,
          target: 0,
          unit: 'of' as const,
          measured: spreadOf([sum(turns.flatMap(({ failures }) => Object.values(failures)))]),
        },
      ]),
      series: measured.flatMap(([ms, turns]) => [
        { what: `${ms} ms away: bare exchange`, unit: 'ms at the median', values: of(turns, 'bare') },
        { what: `${ms} ms away: gateway`, unit: 'ms at the median', values: of(turns, 'typical') },
        { what: `${ms} ms away: gateway`, unit: 'ms at the 99th percentile', values: of(turns, 'late') },
        {
          what: `${ms} ms away: longest of the load generator's own delays`,
          unit: 'ms',
          values: of(turns, 'longestOwnDelay'),
        },
      ]),
      notes: [
        `The path is a program of the load generator that forwards bytes half a round trip later, so it shares the ` +
          `load generator's core. The server wraps by itself (NISTKeyWrap, KMIP 2.1). The bare exchange takes the same path at the same time.`,
        ...measured.flatMap(([ms, turns]) =>
          turns.flatMap(({ failures }, turn) =>
            Object.entries(failures).map(([how, count]) => `${ms} ms away, turn ${turn + 1}: ${count} × ${how}.`),
          ),
        ),
      ],
    }
  },
}

const of = (turns: readonly Turn[], member: Exclude<keyof Turn, 'failures'>): number[] =>
  turns.map((turn) => turn[member])

async function at({ laboratory, plan, progress }: Bench, kmip: KmipServer, roundTripMs: number): Promise<Turn[]> {
  const path = await farFrom(kmip.port)
  path.roundTripMs = roundTripMs
  const far = { ...kmip, port: path.port }
  try {
    await using gateway = await laboratory.gateway({ kmip: far })
    const where = { pathPrefix: prefixes.kmip, key: keyNames.aes, alg }
    const calls = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    for (const call of calls) await untilRight(gateway, call)
    await using bare = await bareExchange(far, laboratory.dataKey, laboratory.wrapped(alg))
    const connections = await openConnections(gateway.target, CONNECTIONS)
    await openLoop({ connections, calls, rate: RATE }, plan.warmUpSeconds)
    const turns: Turn[] = []
    for (let turn = 1; turn <= plan.repetitions; turn += 1) {
      progress(`${roundTripMs} ms away, ${turn} of ${plan.repetitions}`)
      const seconds = 2 * plan.seconds
      const [exchanged, { times, failures, ownDelay }] = await Promise.all([
        bare.take(Math.floor((BARE_SHARE * 1000 * seconds) / roundTripMs)),
        openLoop({ connections, calls, rate: RATE }, seconds),
      ])
      turns.push({
        bare: median(exchanged),
        typical: median(times),
        late: quantile(times, 0.99),
        failures,
        longestOwnDelay: ownDelay.longest,
      })
    }
    for (const connection of connections) connection.close()
    return turns
  } finally {
    path.close()
  }
}
