import { defineConfig } from 'vitest/config'

const all = ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts']
/** What they assert of times needs a machine that does little else: they come last, one after the other. */
const timed = ['test/tls/flood.test.ts', 'test/kmip/gateway.test.ts', 'test/kmip/overhead.test.ts']

export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    pool: 'forks',
    // A process for each file would spend a quarter of the time on loading the same modules.
    isolate: false,
    // As many as the cores that it has to fit. One more would save 20 s of 380, and make a slow machine break times.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    projects: [
      { extends: true, test: { name: 'side by side', include: all, exclude: timed, sequence: { groupOrder: 0 } } },
      { extends: true, test: { name: 'alone', include: timed, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
