import { wrapAlgorithms } from "../../adapters/contract/index.js";
import { open } from "../../adapters/software/index.js";
import { temporaryStore } from "../software/fixtures.js";
import { describeAdapter } from "./suite.js";
describeAdapter({
    name: 'the software store',
    algorithms: wrapAlgorithms,
    canDisable: true,
    dates: ['notBefore', 'expires'],
    start: async (keys) => {
        const { store, remove, ...options } = await temporaryStore();
        for (const { name, material, disabled, ...dates } of keys) {
            const jwk = material.kty === 'oct'
                ? { kty: 'oct', k: Buffer.from(material.k).toString('base64url') }
                : material.jwk;
            await store.add({ name, jwk, enabled: disabled !== true, created: new Date(), ...dates });
        }
        const adapter = await open(options, () => undefined);
        return {
            adapter,
            ref: (name) => name,
            stop: async () => {
                await adapter.close();
                await remove();
            },
        };
    },
});
