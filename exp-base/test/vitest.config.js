import { defineConfig } from 'vitest/config';
export default defineConfig({
    test: {
        root: new URL('..', import.meta.url).pathname,
        include: ['test/**/*.test.ts', 'adapters/*/test/**/*.test.ts'],
        pool: 'forks',
        // A process for each file would spend a quarter of the time on loading the same modules.
        isolate: false,
        // One more than the two cores that it has to fit: many tests wait for a deadline or a fault to pass.
        maxWorkers: 3,
        testTimeout: 20_000,
        hookTimeout: 30_000,
    },
});
