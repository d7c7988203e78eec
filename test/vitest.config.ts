import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts'],
    pool: 'forks',
    // One more than the two cores that it has to fit: many tests wait for a deadline or a fault to pass.
    maxWorkers: 3,
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
})
