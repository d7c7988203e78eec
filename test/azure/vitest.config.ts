import { defineConfig } from 'vitest/config'

/** `npm run test:azure`. It is apart from `npm test` because the real `az` is 600 MB from PyPI. */
export default defineConfig({
  test: {
    root: new URL('../..', import.meta.url).pathname,
    include: ['test/azure/az-lines.ts'],
    pool: 'forks',
    hookTimeout: 900_000,
  },
})
