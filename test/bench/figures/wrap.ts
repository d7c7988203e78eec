import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { makePair } from '../request.ts'
import { paired, percents, ratio, spreadOf } from '../statistics.ts'
import { column, throughputs, withNewServers } from '../turns.ts'

const GATEWAY = 'gateway'
const HONO = 'bare Hono'
const HTTPS = 'bare node:https'

export const wrap: Figure = {
  name: 'wrap',
  title: 'A256KWP wrap, software store, 32 keep-alive mTLS connections',
  async measure(bench) {
    const { laboratory } = bench
    const alg = 'A256KWP'
    const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg }
    const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg))
    const calls = [call]
    const results = await withNewServers(bench, async (once) => {
      await using gateway = await laboratory.gateway()
      await using hono = await laboratory.bareServer('hono')
      await using https = await laboratory.bareServer('https')
      const contestants = [
        { name: GATEWAY, server: gateway, calls },
        { name: HONO, server: hono, calls },
        { name: HTTPS, server: https, calls },
      ]
      for (const { server } of contestants) await untilRight(server, call)
      return await throughputs(once, contestants)
    })
    const against = (name: string) =>
      paired(column(results, GATEWAY, 'perCpuSecond'), column(results, name, 'perCpuSecond'), ratio)
    const names = [GATEWAY, HONO, HTTPS]
    return {
      checks: [
        {
          what: 'throughput of one core against a bare Hono handler',
          relation: 'at least',
          target: 0.85,
          unit: '×',
          measured: spreadOf(against(HONO)),
        },
        {
          what: 'throughput of one core against a bare node:https handler',
          relation: 'at least',
          target: 0.85,
          unit: '×',
          measured: spreadOf(against(HTTPS)),
        },
      ],
      series: [
        ...names.map((what) => ({ what, unit: 'requests/s', values: column(results, what, 'perSecond') })),
        ...names.map((what) => ({
          what: `${what}, for each second of CPU`,
          unit: 'requests',
          values: column(results, what, 'perCpuSecond'),
        })),
        ...names.map((name) => ({
          what: `${name}: use of the server's core`,
          unit: '%',
          values: percents(column(results, name, 'serverBusy')),
        })),
      ],
      notes: [
        "A ratio compares requests for each second of the server's CPU time. " +
          'Other work of the machine affects these less than requests by the clock.',
        'Each repetition has processes of its own.',
        'The load generator never sleeps: a server that has to wake it pays for that.',
      ],
    }
  },
}
