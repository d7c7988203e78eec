import { defineConfig } from 'vitest/config'

/**
 * `npm run test:deploy`. It is apart from `npm test` because it makes the release twice, and installs it on separate
 * hosts.
 */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/deploy/**/*.test.ts'],
    globalSetup: ['test/deploy/release.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 300_000,
    hookTimeout: 900_000,
  },
})
