import { vi } from 'vitest'

/**
 * Repeats an assertion until it holds, and returns its result. A busy machine may need seconds for what usually takes
 * milliseconds.
 */
export const eventually = <Result>(assertion: () => Result | Promise<Result>): Promise<Result> =>
  vi.waitFor(assertion, { timeout: 30_000, interval: 10 })
