import { afterAll } from 'vitest';
import { wrapAlgorithms } from "../../adapters/contract/index.js";
import { open } from "../../adapters/pkcs11/index.js";
import { describeAdapter } from "../contract/suite.js";
import { ref } from "./support/harness.js";
import { softHsm } from "./support/softhsm.js";
import { onToken } from "./support/token-objects.js";
const hsm = softHsm();
let tokens = 0;
afterAll(() => hsm.remove());
describeAdapter({
    name: 'a PKCS#11 token (SoftHSM)',
    algorithms: wrapAlgorithms,
    // PKCS#11 has no such attribute: an operator removes the usages, or the key.
    canDisable: false,
    dates: ['notBefore', 'expires'],
    start: async (keys) => {
        const label = `contract-${++tokens}`;
        hsm.initToken(label);
        onToken(label, (objects) => {
            for (const key of keys)
                objects.import(key);
        });
        const adapter = await open(hsm.options(label), () => undefined);
        return { adapter, ref, stop: () => adapter.close() };
    },
});
