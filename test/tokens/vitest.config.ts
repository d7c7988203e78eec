import { defineConfig } from 'vitest/config'
import { compiledPrograms } from '../support/compiled-programs.ts'

/**
 * `npm run test:tokens`. It is apart from `npm test` because its libraries take long to build, or use the machine's
 * daemons.
 */
export default defineConfig({
  plugins: [compiledPrograms],
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/tokens/*.ts'],
    exclude: ['test/tokens/vitest.config.ts'],
    pool: 'forks',
    // The daemons and devices belong to the machine, not to a test.
    maxWorkers: 1,
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
})
