import { randomBytes } from 'node:crypto'
import { AdapterError, type KeyAdapter, type KeyRef, type WrapAlgorithm } from '../../../adapters/contract/index.ts'
import { BUDGET_MS, statisticsOf } from '../../conformance/src/measurements.ts'
import type { Findings } from './findings.ts'
import { callWithin } from './time-limit.ts'

/** How many wraps, and how many unwraps. */
const PAIRS = 25
/** Milliseconds for each key and algorithm, because there may be many. */
const BURST_MS = 2000
const MAX_FAILURES = 3
const DATA_KEY_BYTES = 32

export interface LatencyQuestion {
  readonly adapter: KeyAdapter
  readonly backend: string
  /** The pool and the key, for people. */
  readonly key: string
  readonly ref: KeyRef
  readonly algorithm: WrapAlgorithm
  readonly deadlineMs: number
}

/** Measures a short burst of calls, one after another: the cost of a call without other load. */
export async function checkLatency(question: LatencyQuestion, findings: Findings): Promise<void> {
  const { adapter, ref, algorithm, deadlineMs } = question
  const wraps: number[] = []
  const unwraps: number[] = []
  const failures: string[] = []
  const patience = Math.max(1000, 5 * deadlineMs)
  const timed = async (into: number[], call: Parameters<typeof callWithin<Uint8Array>>[1]) => {
    const start = performance.now()
    const result = await callWithin(patience, call, (late) => late.fill(0))
    into.push(performance.now() - start)
    return result
  }
  const began = performance.now()
  for (let pair = 0; pair < PAIRS && performance.now() - began < BURST_MS && failures.length < MAX_FAILURES; pair++) {
    const dataKey = randomBytes(DATA_KEY_BYTES)
    try {
      const wrapped = await timed(wraps, (context) => adapter.wrap(ref, algorithm, dataKey, context))
      const again = await timed(unwraps, (context) => adapter.unwrap(ref, algorithm, wrapped, context))
      again.fill(0)
    } catch (error) {
      if (!(error instanceof AdapterError)) throw error
      failures.push(error.code)
    } finally {
      dataKey.fill(0)
    }
  }
  tell(question, { wraps, unwraps, failures }, findings)
}

interface Measured {
  readonly wraps: readonly number[]
  readonly unwraps: readonly number[]
  readonly failures: readonly string[]
}

const ms = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`

function tell({ backend, key, algorithm, deadlineMs }: LatencyQuestion, measured: Measured, findings: Findings): void {
  const [wrap, unwrap] = [statisticsOf(measured.wraps), statisticsOf(measured.unwraps)]
  const slowest = Math.max(wrap.p99, unwrap.p99)
  const calls = wrap.count + unwrap.count
  const words = [
    `${algorithm} with ${key}`,
    `wrap p50 ${ms(wrap.p50)}, p99 ${ms(wrap.p99)}; unwrap p50 ${ms(unwrap.p50)}, p99 ${ms(unwrap.p99)}`,
    `${calls} calls; the deadline is ${deadlineMs} ms, and Azure waits ${BUDGET_MS} ms`,
  ].join(': ')
  const more = {
    subject: backend,
    fields: {
      algorithm,
      key,
      calls,
      deadlineMs,
      wrapP50Ms: round(wrap.p50),
      wrapP99Ms: round(wrap.p99),
      unwrapP50Ms: round(unwrap.p50),
      unwrapP99Ms: round(unwrap.p99),
    },
  }
  const nearer = 'move the gateway nearer to the backend; key.way tells whether one call takes many round trips'
  if (measured.failures.length > 0) {
    const found = `${algorithm} with ${key}: ${measured.failures.length} calls of a burst failed (${measured.failures.join(', ')})`
    findings.problem('backend.latency', found, {
      ...more,
      advice: 'find out what is wrong with the backend, then check again',
    })
    return
  }
  const status = latencyStatus(slowest, deadlineMs)
  const advice = { ok: undefined, warning: `more than half of the deadline: ${nearer}`, problem: nearer }[status]
  findings.add({ id: 'backend.latency', status, found: words, ...more, ...(advice !== undefined && { advice }) })
}

/** A call above the deadline is answered with 408. A call that needs half of it has no reserve for load. */
export function latencyStatus(slowestMs: number, deadlineMs: number): 'ok' | 'warning' | 'problem' {
  if (slowestMs > deadlineMs) return 'problem'
  return slowestMs > deadlineMs / 2 ? 'warning' : 'ok'
}

const round = (value: number): number => Math.round(value * 100) / 100
