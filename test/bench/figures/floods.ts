import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Figure } from '../figure.ts'
import { HttpConnection } from '../http-connection.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { openConnections, openLoop } from '../load.ts'
import { makePair } from '../request.ts'
import { ServerProcess } from '../server-process.ts'
import { difference, median, paired, quantile, spreadOf } from '../statistics.ts'
import { CONNECTIONS, inTurns } from '../turns.ts'

const RATE = 500
const LEAD_MS = 500
const NEW_CONNECTION_MS = 100
const QUIET = 'no attack'

/** Connections a second from another address, none with a certificate; 2000 are held at a time. */
const attacks = [
  { name: 'half-open connections', way: 'silence', rate: 2000 },
  { name: 'slow senders', way: 'slow', rate: 500 },
  { name: 'hellos', way: 'hellos', rate: 2000 },
  { name: 'handshakes', way: 'handshakes', rate: 500 },
  { name: 'requests', way: 'requests', rate: 500 },
] as const

const program = fileURLToPath(new URL('../../../../test/tls/support/attacker.mjs', import.meta.url))

interface Turn {
  readonly slowest: number
  readonly connecting: number
}

export const floods: Figure = {
  name: 'floods',
  title: `${RATE} requests/s of an authenticated client beside floods of connections without a certificate`,
  async measure(bench) {
    const { laboratory, plan } = bench
    await using gateway = await laboratory.gateway()
    const { target } = gateway
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const calls = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    for (const call of calls) await untilRight(gateway, call)
    const connections = await openConnections(target, CONNECTIONS)
    const seconds = 2 * plan.seconds
    const failures = new Map<string, number>()
    const failed = (how: string, count = 1) => failures.set(how, (failures.get(how) ?? 0) + count)

    const run = async (): Promise<Turn> => {
      const times: number[] = []
      const connect = setInterval(() => {
        const start = performance.now()
        HttpConnection.open(target).then(
          (connection) => {
            times.push(performance.now() - start)
            connection.close()
          },
          () => failed('a new connection was refused'),
        )
      }, NEW_CONNECTION_MS)
      const result = await openLoop({ connections, calls, rate: RATE }, seconds)
      clearInterval(connect)
      for (const [how, count] of Object.entries(result.failures)) failed(how, count)
      return { slowest: quantile(result.times, 0.99), connecting: median(times) }
    }
    const attacked = async (way: string, rate: number): Promise<Turn> => {
      const command = [process.execPath, program, way, String(target.port), String(rate), '127.0.0.2']
      // With what the load generator leaves of its core: an attacker has a machine of his own.
      const attack = new ServerProcess({ prefix: ['nice', '-n', '10'], command })
      await sleep(LEAD_MS)
      const turn = await run()
      await attack.stop()
      await sleep(LEAD_MS)
      return turn
    }
    const results = await inTurns(bench, [
      { name: QUIET, turn: run },
      ...attacks.map(({ name, way, rate }) => ({ name, turn: () => attacked(way, rate) })),
    ])
    for (const connection of connections) connection.close()
    const values = (name: string, member: keyof Turn) => (results.get(name) ?? []).map((turn) => turn[member])
    const names = [QUIET, ...attacks.map(({ name }) => name)]
    return {
      checks: [
        ...attacks.map(({ name }) => ({
          what: `${name}: 99th percentile rises by`,
          relation: 'at most' as const,
          target: 50,
          unit: 'ms' as const,
          measured: spreadOf(paired(values(name, 'slowest'), values(QUIET, 'slowest'), difference)),
        })),
        {
          what: 'failed requests and connections of the client',
          relation: 'at most',
          target: 0,
          unit: 'of',
          measured: spreadOf([[...failures.values()].reduce((sum, count) => sum + count, 0)]),
        },
      ],
      series: [
        ...names.map((name) => ({ what: name, unit: 'ms at the 99th percentile', values: values(name, 'slowest') })),
        ...names.map((name) => ({
          what: `${name}, a new connection of the client`,
          unit: 'ms at the median',
          values: values(name, 'connecting'),
        })),
      ],
      notes: [
        `${seconds} s a turn. Connections a second, from another address and in bursts: ${attacks
          .map(({ name, rate }) => `${name} ${rate}`)
          .join(', ')}; the attacker shares the load generator's core.`,
        ...[...failures].map(([how, count]) => `${count} × ${how}`),
      ],
    }
  },
}
