import { randomBytes } from 'node:crypto'
import { exchange, makeAgent } from './client.ts'
import { statisticsOf, type LoadPlan, type LoadResult } from './measurements.ts'
import { base64url, requestContext } from './api.ts'
import type { Probe } from './probe.ts'

/** Milliseconds. Managed HSM's health monitor calls info 3 times a minute. */
const HEARTBEAT_MS = 20_000
/**
 * The most calls that may wait at the same time. With more the proxy is lost, and they would only fill this machine's
 * memory.
 */
const MOST_WAITING = 20_000
const TICK_MS = 1000

interface Call {
  readonly operation: 'info' | 'wrapkey' | 'unwrapkey'
  readonly path: string
  readonly members: object
}

/**
 * Plays a Managed HSM with an open loop: each call has a fixed time and is measured from then on, whether or not
 * earlier calls have been answered. A proxy that stalls is charged with every call that had to wait meanwhile.
 */
export async function playManagedHsm(probe: Probe, plan: LoadPlan): Promise<LoadResult> {
  const calls = await prepareCalls(probe)
  const agent = makeAgent(probe.target, plan.connections)
  const failures: Record<string, number> = {}
  const total = Math.round(plan.rate * plan.seconds)
  const waiting = new Set<Promise<void>>()
  const start = performance.now()

  const send = (call: Call, due: number) => {
    const body = JSON.stringify({ ...requestContext(), ...call.members })
    const done = exchange(probe.target, agent, { path: call.path, body, signal: probe.signal })
      .then(({ status }) => (status === 200 ? undefined : String(status)))
      .catch((error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'no answer'))
      .then((failure) => {
        if (failure === undefined) probe.measurements.add(`load, ${call.operation}`, performance.now() - due)
        else failures[failure] = (failures[failure] ?? 0) + 1
        waiting.delete(done)
      })
    waiting.add(done)
  }

  const heartbeat: Call = { operation: 'info', path: probe.path('info'), members: {} }
  let sent = 0
  let beats = 0
  let shown = 0
  while (sent < total && !probe.signal.aborted) {
    const now = performance.now() - start
    for (; beats * HEARTBEAT_MS <= now; beats += 1) send(heartbeat, start + beats * HEARTBEAT_MS)
    for (; sent < total && (sent * 1000) / plan.rate <= now; sent += 1) {
      const call = calls[sent % calls.length] ?? heartbeat
      if (waiting.size < MOST_WAITING) send(call, start + (sent * 1000) / plan.rate)
      else failures['not sent'] = (failures['not sent'] ?? 0) + 1
    }
    if (now - shown >= TICK_MS) {
      shown = now
      probe.progress(describe(probe, plan, now, sent, waiting.size, failures))
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(waiting)
  agent.destroy()
  return { ...plan, sent: sent + beats, failures }
}

/**
 * Wraps and unwraps in turn, with every given key and algorithm. Each unwrap uses a value that the proxy itself
 * wrapped.
 */
async function prepareCalls(probe: Probe): Promise<Call[]> {
  const { aesKeys, rsaKeys } = probe.target
  const uses = [
    ...aesKeys.flatMap((key) => ['A256KW', 'A256KWP'].map((alg) => ({ key, alg }))),
    ...rsaKeys.flatMap((key) => ['RSA-OAEP', 'RSA-OAEP-256'].map((alg) => ({ key, alg }))),
  ]
  const calls: Call[] = []
  for (const { key, alg } of uses) {
    const dataKey = randomBytes(32)
    probe.hide(dataKey)
    const wrapped = base64url(probe.value(await probe.wrap(key, alg, dataKey)))
    const call = (operation: 'wrapkey' | 'unwrapkey', value: string): Call => ({
      operation,
      path: probe.path(`${key}/${operation}`),
      members: { alg, value },
    })
    calls.push(call('wrapkey', base64url(dataKey)), call('unwrapkey', wrapped))
  }
  return calls
}

function describe(
  probe: Probe,
  plan: LoadPlan,
  now: number,
  sent: number,
  waiting: number,
  failures: Record<string, number>,
) {
  const { p50, p99 } = statisticsOf(loadSamples(probe))
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0)
  return (
    `load ${(now / 1000).toFixed(0)}/${plan.seconds} s: ${sent} sent, ${waiting} waiting, ${failed} failed, ` +
    `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`
  )
}

/** The durations of all calls of the load. */
export const loadSamples = ({ measurements }: Pick<Probe, 'measurements'>): number[] =>
  ['info', 'wrapkey', 'unwrapkey'].flatMap((operation) => [...measurements.of(`load, ${operation}`)])
