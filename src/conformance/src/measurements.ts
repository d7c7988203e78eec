/** Milliseconds after which Managed HSM gives up (EKM Proxy API, "Who calls, how"). */
export const BUDGET_MS = 250

export interface Statistics {
  readonly count: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  /** The share of the calls above the budget, from 0 to 1. */
  readonly beyondBudget: number
}

/** The load that `--load` asks for. */
export interface LoadPlan {
  /** Calls a second. */
  readonly rate: number
  readonly seconds: number
  readonly connections: number
}

/** The result of the load. Its durations are among the other measurements. */
export interface LoadResult extends LoadPlan {
  readonly sent: number
  /** The number of calls for each failure: a status, or why there was no answer. */
  readonly failures: Readonly<Record<string, number>>
}

/** Durations in milliseconds, by the name of what was measured. */
export class Measurements {
  load: LoadResult | undefined
  readonly #series = new Map<string, number[]>()

  add(name: string, milliseconds: number): void {
    const samples = this.#series.get(name)
    if (samples) samples.push(milliseconds)
    else this.#series.set(name, [milliseconds])
  }

  of(name: string): readonly number[] {
    return this.#series.get(name) ?? []
  }

  get all(): readonly (readonly [name: string, samples: readonly number[]])[] {
    return [...this.#series]
  }
}

/** Percentiles by nearest rank: each is a duration that was measured. */
export function statisticsOf(samples: readonly number[]): Statistics {
  const sorted = [...samples].sort((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return {
    count: sorted.length,
    p50: rank(0.5),
    p95: rank(0.95),
    p99: rank(0.99),
    max: sorted.at(-1) ?? 0,
    beyondBudget: sorted.length === 0 ? 0 : sorted.filter((ms) => ms > BUDGET_MS).length / sorted.length,
  }
}

export interface Bucket {
  /** Milliseconds. The bucket includes `from` and excludes `to`. */
  readonly from: number
  readonly to: number
  readonly count: number
}

/** Counts samples in buckets of doubling width, from the smallest sample's to the largest sample's. */
export function bucketsOf(samples: readonly number[]): Bucket[] {
  const edges = [0, 0.5, 1, 2, 4, 8, 16, 32, 64, 125, BUDGET_MS, 500, 1000, 2000, 4000, 8000, Infinity]
  const buckets = edges.slice(1).map((to, index) => {
    const from = edges[index] ?? 0
    return { from, to, count: samples.filter((ms) => ms >= from && ms < to).length }
  })
  const first = buckets.findIndex(({ count }) => count > 0)
  const last = buckets.findLastIndex(({ count }) => count > 0)
  return first === -1 ? [] : buckets.slice(first, last + 1)
}
