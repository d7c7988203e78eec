import { defineConfig } from 'vitest/config'

/** `npm run test:tokens`. Apart from `npm test`, for its libraries take long to build, or are one to a machine. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/tokens/*.ts'],
    exclude: ['test/tokens/vitest.config.ts'],
    pool: 'forks',
    // The daemons and the devices are the machine's, not a test's.
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
