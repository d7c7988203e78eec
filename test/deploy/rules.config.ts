import { defineConfig } from 'vitest/config'

/**
 * `npm run test:rules`: the part of `npm run test:deploy` that needs no release. It takes seconds, and `.ci/run`
 * includes it.
 */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/deploy/rules.test.ts'],
    pool: 'forks',
    testTimeout: 60_000,
  },
})
