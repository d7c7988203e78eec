import type { Case } from '../case.ts'
import { exchangeRaw } from '../client.ts'
import { loadSamples, playManagedHsm } from '../load.ts'
import { BUDGET_MS, statisticsOf } from '../measurements.ts'
import { base64url } from '../api.ts'
import { notApplicable, type Probe } from '../probe.ts'
import { connectAgain, sessionOf } from '../sessions.ts'

const clause = 'Who calls, how (250 ms)'
const CONNECTIONS = 20
const CALLS = 200
/** Microsoft's suggested alerts: more than 1 % failures, and a p95 above 250 ms. */
const MOST_FAILURES = 0.01

function judge(probe: Probe, sent: string, samples: readonly number[], percentile: 'p95' | 'max'): void {
  const statistics = statisticsOf(samples)
  const { count, p50, p95, max, beyondBudget } = statistics
  const times = `p50 ${p50.toFixed(1)} ms, p95 ${p95.toFixed(1)} ms, max ${max.toFixed(1)} ms`
  const came = `${times}; ${(beyondBudget * 100).toFixed(1)} % beyond ${BUDGET_MS} ms`
  const expected = `${percentile} of ${BUDGET_MS} ms at most`
  probe.check({ sent: `${count} ${sent}`, expected, came }, statistics[percentile] <= BUDGET_MS)
}

/** One `info` call on its own connection. The time includes opening the connection. */
async function timedCall(probe: Probe, name: string, session?: Buffer): Promise<boolean> {
  const start = performance.now()
  const socket = await (session ? connectAgain(probe, session) : probe.connect())
  const resumed = socket.isSessionReused()
  const answer = await exchangeRaw(socket, probe.infoRequest())
  if (answer?.status === 200 && resumed === (session !== undefined)) {
    probe.measurements.add(name, performance.now() - start)
  }
  return resumed
}

/** The calls of Managed HSM: each operation with every given key. */
async function mixOf(probe: Probe): Promise<(() => Promise<number>)[]> {
  const timed = (operation: string, members: object = {}) => {
    return async () => {
      const reply = await probe.call(operation, members)
      probe.served(reply)
      return reply.milliseconds
    }
  }
  const mix = [timed('info')]
  const { aesKeys, rsaKeys } = probe.target
  for (const [keys, alg] of [[aesKeys, 'A256KWP'] as const, [rsaKeys, 'RSA-OAEP-256'] as const]) {
    for (const key of keys) {
      const value = base64url(probe.dataKey(32))
      const wrapped = base64url(probe.value(await probe.wrap(key, alg, value)))
      mix.push(timed(`${key}/wrapkey`, { alg, value }), timed(`${key}/unwrapkey`, { alg, value: wrapped }))
    }
  }
  return mix
}

export const timingCases: readonly Case[] = [
  {
    id: 'latency.first-call',
    clause,
    severity: 'should',
    title: `a call on a new connection, with a full handshake, is answered within ${BUDGET_MS} ms`,
    phase: 'measurement',
    run: async (probe) => {
      for (let call = 0; call < CONNECTIONS; call += 1) await timedCall(probe, 'first call')
      const samples = probe.measurements.of('first call')
      if (samples.length === 0) notApplicable('no first call was answered with 200')
      judge(probe, 'calls with a full handshake', samples, 'max')
    },
  },
  {
    id: 'latency.resumed',
    clause,
    severity: 'should',
    title: `a call on a new connection, with a resumed session, is answered within ${BUDGET_MS} ms`,
    phase: 'measurement',
    run: async (probe) => {
      for (let call = 0; call < CONNECTIONS; call += 1) {
        const session = await sessionOf(await probe.connect(), probe.infoRequest())
        if (session === undefined) break
        if (!(await timedCall(probe, 'resumed', session))) break
      }
      const samples = probe.measurements.of('resumed')
      if (samples.length === 0) notApplicable('no session was resumed')
      judge(probe, 'calls with a resumed session', samples, 'max')
    },
  },
  {
    id: 'latency.keep-alive',
    clause,
    severity: 'must',
    title: `p95 of calls on a kept-alive connection is at most ${BUDGET_MS} ms`,
    phase: 'measurement',
    run: async (probe) => {
      const mix = await mixOf(probe)
      for (let call = 0; call < CALLS; call += 1) {
        probe.measurements.add('keep-alive', (await mix[call % mix.length]?.()) ?? 0)
      }
      judge(probe, 'calls one after the other', probe.measurements.of('keep-alive'), 'p95')
    },
  },
  {
    id: 'load.served',
    clause: 'What the proxy must log and expose (alerts)',
    severity: 'must',
    title: `under --load at most ${MOST_FAILURES * 100} % of the calls fail`,
    needs: ['load'],
    phase: 'measurement',
    run: async (probe) => {
      if (probe.load === undefined) return notApplicable('no load was requested')
      const result = await playManagedHsm(probe, probe.load)
      probe.measurements.load = result
      const failed = Object.values(result.failures).reduce((sum, count) => sum + count, 0)
      const kinds = Object.entries(result.failures).map(([failure, count]) => `${failure}: ${count}`)
      const { rate, seconds, connections, sent } = result
      const step = {
        sent: `${sent} calls, ${rate} a second for ${seconds} s over ${connections} connections`,
        expected: `at most ${MOST_FAILURES * 100} % failed`,
        came: `${failed} failed${kinds.length > 0 ? ` (${kinds.join(', ')})` : ''}`,
      }
      probe.check(step, failed <= sent * MOST_FAILURES)
    },
  },
  {
    id: 'load.budget',
    clause,
    severity: 'must',
    title: `under --load p95 is at most ${BUDGET_MS} ms; a call that is sent late counts from when it was due`,
    needs: ['load'],
    phase: 'measurement',
    run: (probe) => {
      const samples = loadSamples(probe)
      if (samples.length === 0) notApplicable('no call of the load was answered with 200')
      judge(probe, 'calls of the load', samples, 'p95')
    },
  },
]
