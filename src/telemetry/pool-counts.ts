import { Turns } from '../base/turns.ts'
import type { DurationHistogram } from './duration-histogram.ts'
import type { EventCounter } from './event-counter.ts'

/** Statuses by which a use of a key counts as failed: late, one too many, or the gateway's and its backends' own affair. */
const isFailure = (status: number): boolean => status === 408 || status === 429 || status >= 500
const USES_OF_KEYS: ReadonlySet<unknown> = new Set(['wrapkey', 'unwrapkey'])
const REFUSED = 401

/** What one process has counted of a pool since it began. */
export interface PoolCounts {
  readonly pool: string
  /** Requests that were answered, but for those of clients that were refused. */
  calls: number
  /** Of the uses of keys, those that failed. */
  failed: number
  /** Uses of keys in each bucket of `durationBounds`; the last has what is above every bound. */
  readonly durations: number[]
  /** Requests that were refused or failed, by reason. */
  readonly reasons: Record<string, number>
}

/** Reads what is counted anyway. Of thousands of series, it lets others have their turn. */
export async function poolCounts(durations: DurationHistogram, failures: EventCounter): Promise<PoolCounts[]> {
  const turns = new Turns()
  const pools = new Map<string, PoolCounts>()
  const countsOf = (pool: string) => {
    const known = pools.get(pool) ?? { pool, calls: 0, failed: 0, durations: [], reasons: {} }
    pools.set(pool, known)
    return known
  }
  for (const [[pool, operation, , status], counts] of durations.all()) {
    await turns.giveWay()
    if (pool === '') continue
    const of = countsOf(String(pool))
    const total = counts.reduce((sum, count) => sum + count, 0)
    if (status !== REFUSED) of.calls += total
    if (!USES_OF_KEYS.has(operation) || status === REFUSED) continue
    if (isFailure(Number(status))) of.failed += total
    for (const [bucket, count] of counts.entries()) of.durations[bucket] = (of.durations[bucket] ?? 0) + count
  }
  for (const [[pool, reason], { count }] of failures.all()) {
    if (pool === '') continue
    const { reasons } = countsOf(String(pool))
    reasons[String(reason)] = (reasons[String(reason)] ?? 0) + count
  }
  return [...pools.values()]
}
