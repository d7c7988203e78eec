/** By the nearest rank: a value that was really measured. `share` is from 0 to 1. */
export function quantile(values, share) {
    const sorted = Float64Array.from(values).sort();
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}
export const median = (values) => quantile(values, 0.5);
/** The median with the least and the greatest value. */
export const spreadOf = (values) => ({
    median: median(values),
    low: Math.min(...values),
    high: Math.max(...values),
});
/** What belongs together was measured right after one another: the i-th of `a` with the i-th of `b`. */
export const paired = (a, b, compare) => a.map((value, index) => compare(value, b[index] ?? NaN));
export const ratio = (a, b) => a / b;
export const difference = (a, b) => a - b;
