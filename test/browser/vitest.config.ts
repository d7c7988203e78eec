import { defineConfig } from 'vitest/config'

/** `npm run test:browser`. It is apart from `npm test` because Chromium is large, and not every machine has it. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/browser/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
})
