/** Summaries of several repetitions. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

/** The nearest-rank quantile, which is always a measured value. `share` is from 0 to 1. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0)

export const mean = (values: readonly number[]): number => sum(values) / values.length

/** Of an even number of values, the mean of the two in the middle: the lower one alone would flatter every "at most". */
export const median = (values: readonly number[]): number => {
  const sorted = Float64Array.from(values).sort()
  const middle = (sorted.length - 1) / 2
  return mean([sorted[Math.floor(middle)] ?? NaN, sorted[Math.ceil(middle)] ?? NaN])
}

/** The median with the least and the greatest value. */
export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  low: Math.min(...values),
  high: Math.max(...values),
})

/** Pairs the i-th value of `a` with the i-th of `b`, which was measured right after it. */
export const paired = (
  a: readonly number[],
  b: readonly number[],
  compare: (a: number, b: number) => number,
): number[] => a.map((value, index) => compare(value, b[index] ?? NaN))

export const percents = (shares: readonly number[]): number[] => shares.map((share) => 100 * share)

export const ratio = (a: number, b: number): number => a / b
export const difference = (a: number, b: number): number => a - b
