import { wrapOnToken } from '../direct-token.ts'
import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { openConnections, openLoop, OWN_DELAY, WARM_UP_SHARE } from '../load.ts'
import { hostsOf } from '../process-tree.ts'
import { makePair } from '../request.ts'
import { quantile, spreadOf, sum } from '../statistics.ts'
import { CONNECTIONS } from '../turns.ts'

const RATE = 1800
const HOST_MS = 5000
const RELOAD_MS = 10_000
const alg = 'A256KW'

export const disturbed: Figure = {
  name: 'disturbed',
  title: `${RATE} requests/s on SoftHSM, open loop, while HSM hosts are killed and the configuration is loaded anew`,
  async measure({ laboratory, plan, progress }) {
    const { dataKey } = laboratory
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm, hostsAway: true })
      const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey)
      const calls = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped)
      for (const call of calls) await untilRight(gateway, call)
      const connections = await openConnections(gateway.target, CONNECTIONS)
      progress('warming up')
      await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds / WARM_UP_SHARE)
      let [killed, reloads] = [0, 0]
      const timers = [
        setInterval(() => {
          const hosts = hostsOf(gateway.pid)
          const host = hosts[killed % hosts.length]
          if (host === undefined) return
          process.kill(host, 'SIGKILL')
          killed += 1
        }, HOST_MS),
        setInterval(() => {
          process.kill(gateway.pid, 'SIGHUP')
          reloads += 1
        }, RELOAD_MS),
      ]
      progress(`${plan.rateSeconds} s`)
      const { times, failures, ownDelay } = await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds)
      for (const timer of timers) clearInterval(timer)
      for (const connection of connections) connection.close()
      return {
        checks: [
          {
            what: 'failed requests',
            relation: 'at most',
            target: 0,
            unit: 'of',
            measured: spreadOf([sum(Object.values(failures))]),
          },
          {
            what: '99th percentile',
            relation: 'at most',
            target: 10,
            unit: 'ms',
            measured: spreadOf([quantile(times, 0.99)]),
          },
        ],
        series: [
          { what: 'median', unit: 'ms', values: [quantile(times, 0.5)] },
          { what: '99.9th percentile', unit: 'ms', values: [quantile(times, 0.999)] },
          { what: 'longest', unit: 'ms', values: [quantile(times, 1)] },
          { what: OWN_DELAY, unit: 'ms', values: [ownDelay] },
        ],
        notes: [
          `${plan.rateSeconds} s, ${killed} hosts killed with SIGKILL, one each ${HOST_MS / 1000} s, ${reloads} reloads by ` +
            `SIGHUP, one each ${RELOAD_MS / 1000} s. A request's time counts from its due time.`,
          ...Object.entries(failures).map(([failure, count]) => `${count} × ${failure}.`),
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}
