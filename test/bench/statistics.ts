/** What several repetitions say together. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** By the nearest rank: a value that was really measured. `share` is from 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The median with the least and the greatest value. */
export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  low: Math.min(...values),
  high: Math.max(...values),
})

/** What belongs together was measured right after one another: the i-th of `a` with the i-th of `b`. */
export const paired = (
  a: readonly number[],
  b: readonly number[],
  compare: (a: number, b: number) => number,
): number[] => a.map((value, index) => compare(value, b[index] ?? NaN))

export const ratio = (a: number, b: number): number => a / b
export const difference = (a: number, b: number): number => a - b
