import { defineConfig } from 'vitest/config';
/** `npm run test:key-manager`. Apart from `npm test`, for it wants a key manager of the operator's own. */
export default defineConfig({
    test: {
        root: new URL('../..', import.meta.url).pathname,
        include: ['test/key-manager/contract.ts'],
        pool: 'forks',
        maxWorkers: 1,
        testTimeout: 180_000,
        hookTimeout: 120_000,
    },
});
