import { wrapOnToken } from '../direct-token.ts'
import type { Figure } from '../figure.ts'
import { hold, outcomeOfHeldRate, RATE, SPREAD_NOTE } from '../held-rate.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { hostsOf } from '../process-tree.ts'
import { makePair } from '../request.ts'

const HOST_MS = 5000
const RELOAD_MS = 10_000
const alg = 'A256KW'
const WHAT = 'SoftHSM'

export const disturbed: Figure = {
  name: 'disturbed',
  title: `${RATE} requests/s on SoftHSM, open loop, while HSM hosts are killed and the configuration is loaded anew`,
  async measure(bench) {
    const { laboratory, plan } = bench
    const { dataKey } = laboratory
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm, hostsAway: true })
      const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey)
      const calls = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped)
      for (const call of calls) await untilRight(gateway, call)
      let [killed, reloads] = [0, 0]
      const disturb = () => {
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
        return () => timers.forEach(clearInterval)
      }
      const outcome = outcomeOfHeldRate(WHAT, await hold(bench, WHAT, gateway, calls, disturb))
      return {
        ...outcome,
        notes: [
          `${plan.rateSeconds} s, ${killed} hosts killed with SIGKILL, one each ${HOST_MS / 1000} s, ${reloads} reloads by ` +
            `SIGHUP, one each ${RELOAD_MS / 1000} s. ${SPREAD_NOTE}`,
          ...outcome.notes,
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}
