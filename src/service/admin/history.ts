import { reasons as everyReason } from '../../http/proxy-error.ts'
import { durationBounds } from '../../telemetry/duration-histogram.ts'
import type { PoolCounts } from '../../telemetry/pool-counts.ts'
import type { ProcessCounts } from '../workers/messages.ts'

/** An hour of half minutes. */
export const SLOTS = 120
export const SLOT_MS = 30_000
const BUCKETS = durationBounds.length + 1
const OTHER = 'OTHER'
const reasons = [...everyReason, OTHER]
/** Of a slot: calls, failed uses of keys, the uses in each bucket, and what was refused or failed by each reason. */
const COLUMNS = 2 + BUCKETS + reasons.length
/** What the history of one pool takes. */
export const BYTES_PER_POOL = SLOTS * COLUMNS * Uint32Array.BYTES_PER_ELEMENT

/** What happened to a pool in some time. */
export interface Span {
  readonly calls: number
  readonly failed: number
  /** As {@link PoolCounts} has them. */
  readonly durations: readonly number[]
  /** Only those that occurred, the most frequent first. */
  readonly reasons: readonly (readonly [string, number])[]
}

const columnsOf = ({ calls, failed, durations, reasons: byReason }: PoolCounts): number[] => {
  const row = new Array<number>(COLUMNS).fill(0)
  row[0] = calls
  row[1] = failed
  for (const [bucket, count] of durations.entries()) row[2 + bucket] = count
  for (const [reason, count] of Object.entries(byReason)) {
    const index = reasons.indexOf(reason)
    const column = 2 + BUCKETS + (index === -1 ? reasons.length - 1 : index)
    row[column] = (row[column] ?? 0) + count
  }
  return row
}

/** The last hour of one pool: a ring of slots of a fixed size. */
class PoolHistory {
  readonly #cells = new Uint32Array(SLOTS * COLUMNS)
  /** The number of the slot that is being filled, counted from the clock's beginning. */
  #slot = 0
  lastCall: number | undefined

  add(slot: number, row: readonly number[]): void {
    this.#advance(slot)
    const start = (slot % SLOTS) * COLUMNS
    for (const [column, count] of row.entries()) {
      const cell = start + column
      this.#cells[cell] = (this.#cells[cell] ?? 0) + count
    }
  }

  /** @param back how many slots, the one that is being filled included */
  span(now: number, back: number, until = 0): Span {
    this.#advance(now)
    const row = new Array<number>(COLUMNS).fill(0)
    for (let slot = Math.max(0, now - back + 1); slot <= now - until; slot += 1) {
      const start = (slot % SLOTS) * COLUMNS
      for (let column = 0; column < COLUMNS; column += 1) {
        row[column] = (row[column] ?? 0) + (this.#cells[start + column] ?? 0)
      }
    }
    return spanOf(row)
  }

  #advance(slot: number): void {
    const first = Math.max(this.#slot + 1, slot - SLOTS + 1)
    for (let stale = first; stale <= slot; stale += 1) {
      this.#cells.fill(0, (stale % SLOTS) * COLUMNS, ((stale % SLOTS) + 1) * COLUMNS)
    }
    this.#slot = Math.max(this.#slot, slot)
  }
}

const spanOf = (row: readonly number[]): Span => ({
  calls: row[0] ?? 0,
  failed: row[1] ?? 0,
  durations: row.slice(2, 2 + BUCKETS),
  reasons: reasons
    .map((reason, index): [string, number] => [reason, row[2 + BUCKETS + index] ?? 0])
    .filter(([, count]) => count > 0)
    .sort(([, one], [, other]) => other - one),
})

/**
 * The last hour of every pool, over all processes: the differences of what they count anyway. A process that ends takes
 * nothing of it away. All times are those of a clock that does not jump.
 */
export class History {
  readonly #pools = new Map<string, PoolHistory>()
  /** What each process had counted when it answered last, by pool. */
  readonly #last = new Map<number, { readonly slot: number; readonly rows: ReadonlyMap<string, readonly number[]> }>()

  /** @param now in milliseconds */
  record(now: number, processes: readonly ProcessCounts[]): void {
    const slot = Math.floor(now / SLOT_MS)
    for (const { pid, pools } of processes) {
      const before = this.#last.get(pid)?.rows
      const rows = new Map(pools.map((counts) => [counts.pool, columnsOf(counts)]))
      for (const [pool, row] of rows) this.#add(pool, now, slot, differenceOf(row, before?.get(pool)))
      this.#last.set(pid, { slot, rows })
    }
    for (const [pid, last] of this.#last) if (last.slot < slot - SLOTS) this.#last.delete(pid)
  }

  /** Forgets pools that the configuration does not name any more. */
  follow(pools: readonly string[]): void {
    for (const pool of this.#pools.keys()) if (!pools.includes(pool)) this.#pools.delete(pool)
  }

  /** What happened in the last `ms`, of which the last half minute is not over yet. */
  span(pool: string, now: number, ms: number): Span {
    return this.#of(pool).span(Math.floor(now / SLOT_MS), ms / SLOT_MS)
  }

  /** Every slot of the hour, the oldest first. */
  slots(pool: string, now: number): Span[] {
    const slot = Math.floor(now / SLOT_MS)
    return Array.from({ length: SLOTS }, (_, index) => this.#of(pool).span(slot, SLOTS - index, SLOTS - 1 - index))
  }

  /** When it was called last, as far as it was seen. */
  lastCall(pool: string): number | undefined {
    return this.#pools.get(pool)?.lastCall
  }

  #add(pool: string, now: number, slot: number, row: readonly number[]): void {
    const history = this.#of(pool)
    history.add(slot, row)
    if ((row[0] ?? 0) > 0) history.lastCall = now
  }

  #of(pool: string): PoolHistory {
    const known = this.#pools.get(pool) ?? new PoolHistory()
    this.#pools.set(pool, known)
    return known
  }
}

/** Counts that fell are those of a process, or of a series, that began anew. */
function differenceOf(row: readonly number[], before: readonly number[] | undefined): readonly number[] {
  if (before === undefined || row.some((count, column) => count < (before[column] ?? 0))) return row
  return row.map((count, column) => count - (before[column] ?? 0))
}

/**
 * The duration, in seconds, below which a share of the uses stayed, as Prometheus' `histogram_quantile` estimates it;
 * `undefined` where there were none, Infinity beyond the last bound.
 */
export function quantile(share: number, durations: readonly number[]): number | undefined {
  const total = durations.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  const rank = share * total
  let below = 0
  for (const [bucket, count] of durations.entries()) {
    if (count > 0 && below + count >= rank) {
      const [from, to] = [durationBounds[bucket - 1] ?? 0, durationBounds[bucket] ?? Infinity]
      return to === Infinity ? Infinity : from + (to - from) * ((rank - below) / count)
    }
    below += count
  }
  return Infinity
}
