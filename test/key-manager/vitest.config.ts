import { defineConfig } from 'vitest/config'

/** `npm run test:key-manager`. It is apart from `npm test` because it needs a key manager of the operator's own. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/key-manager/contract.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
})
