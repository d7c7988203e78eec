import { wrapOnToken } from '../direct-token.ts'
import type { Figure } from '../figure.ts'
import { keyNames, prefixes, untilRight } from '../laboratory.ts'
import { closedLoop, openConnections, openLoop } from '../load.ts'
import { handlesOf, hostsOf, residentMiB, treeOf } from '../process-tree.ts'
import { makePair } from '../request.ts'
import { median, quantile, spreadOf, sum } from '../statistics.ts'
import { CONNECTIONS } from '../turns.ts'

const RATE = 500
const SAMPLE_MS = 5000
/**
 * Seconds at full speed before the run. V8 enlarges its young generation once enough objects have survived: this takes
 * minutes at the soak's rate, and seconds at full speed.
 */
const FULL_SPEED_SECONDS = 30
/**
 * Minutes in which memory settles, or a sixth of a run shorter than half an hour. The average of as long a period after
 * it is compared with that of as long a period at the end, because hosts grow and are replaced.
 */
const SETTLING_MINUTES = 5
const SHARE_TO_SETTLE = 1 / 6

interface Sample {
  readonly minute: number
  readonly resident: number
  readonly handles: number
  /** HSM sessions. Each is a process of its own. */
  readonly sessions: number
}

export const soak: Figure = {
  name: 'soak',
  title: `${RATE} requests/s for a long time, software store and SoftHSM in turn, wrap and unwrap`,
  onlyByName: true,
  async measure({ laboratory, plan, progress }) {
    const minutes = plan.soakMinutes
    const { dataKey } = laboratory
    const hsm = await laboratory.softHsm()
    try {
      await using gateway = await laboratory.gateway({ hsm })
      const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey)
      const alg = 'A256KW'
      const key = keyNames.aes
      const calls = [
        ...makePair({ pathPrefix: prefixes.software, key, alg }, dataKey, laboratory.wrapped(alg)),
        ...makePair({ pathPrefix: prefixes.hsm, key, alg }, dataKey, wrapped),
      ]
      for (const call of calls) await untilRight(gateway, call)
      const connections = await openConnections(gateway.target, CONNECTIONS)
      const fullSpeed = Math.min(FULL_SPEED_SECONDS, minutes * 60)
      progress(`full speed for ${fullSpeed} s`)
      await closedLoop(connections, calls, fullSpeed, gateway.pid)
      const start = performance.now()
      const samples: Sample[] = []
      const sample = () => {
        const tree = treeOf(gateway.pid)
        const minute = (performance.now() - start) / 60_000
        const now = {
          minute,
          resident: residentMiB(tree),
          handles: handlesOf(tree),
          sessions: hostsOf(gateway.pid).length,
        }
        samples.push(now)
        progress(`minute ${minute.toFixed(1)} of ${minutes}: ${now.resident.toFixed(0)} MiB, ${now.handles} handles`)
      }
      const timer = setInterval(sample, Math.min(SAMPLE_MS, (minutes * 60_000) / 60))
      const { times, failures } = await openLoop({ connections, calls, rate: RATE }, minutes * 60)
      clearInterval(timer)
      for (const connection of connections) connection.close()

      const settled = Math.min(SETTLING_MINUTES, minutes * SHARE_TO_SETTLE)
      const part = (from: number, to: number) => samples.filter(({ minute }) => minute >= from && minute < to)
      const first = part(settled, settled * 2)
      const last = part(minutes - settled, Infinity)
      const base = median(first.map(({ resident }) => resident))
      const growth = (member: 'handles' | 'sessions') =>
        median(last.map((one) => one[member])) - median(first.map((one) => one[member]))
      const failed = sum(Object.values(failures))
      const none = { relation: 'at most', target: 0, unit: 'of' } as const
      return {
        checks: [
          {
            what: `resident memory grows after minute ${settled.toFixed(1)} by`,
            relation: 'at most',
            target: 5,
            unit: '%',
            measured: spreadOf(last.map(({ resident }) => (100 * (resident - base)) / base)),
          },
          { ...none, what: 'more open handles', measured: spreadOf([growth('handles')]) },
          { ...none, what: 'more HSM sessions', measured: spreadOf([growth('sessions')]) },
          { ...none, what: 'failed requests', measured: spreadOf([failed]) },
        ],
        series: [
          { what: 'resident memory of the gateway and its hosts', unit: 'MiB', values: byMinute(samples, 'resident') },
          { what: 'open handles', unit: 'handles', values: byMinute(samples, 'handles') },
        ],
        notes: [
          `${minutes} minutes, after ${fullSpeed} s at full speed: ${times.length} requests, 99th percentile ${quantile(times, 0.99).toFixed(1)} ms.`,
          ...Object.entries(failures).map(([what, count]) => `${count} × ${what}.`),
        ],
      }
    } finally {
      hsm.remove()
    }
  },
}

function byMinute(samples: readonly Sample[], member: 'resident' | 'handles'): number[] {
  const minutes = new Map<number, number[]>()
  for (const sample of samples) {
    const minute = Math.floor(sample.minute)
    minutes.set(minute, [...(minutes.get(minute) ?? []), sample[member]])
  }
  return [...minutes.values()].map(median)
}
