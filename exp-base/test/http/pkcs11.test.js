import { MODULE, PIN, softHsm } from "../pkcs11/support/softhsm.js";
import { onToken } from "../pkcs11/support/token-objects.js";
import { makeWorkspace } from "../support/workspace.js";
import { describeConformance } from "./conformance.js";
import { describeSecrecy } from "./secrecy.js";
import { describeApi } from "./suite.js";
const softHsmToken = {
    product: { vendor: 'SoftHSM project', name: 'SoftHSM v2 2.6' },
    rsa: true,
    canDisable: false,
    dates: ['notBefore', 'expires'],
    unusable: () => ({ expires: new Date(Date.now() - 1000) }),
    provide: async (keys) => {
        const hsm = softHsm();
        hsm.initToken('ekm');
        onToken('ekm', (objects) => {
            for (const key of keys)
                objects.import(key);
        });
        const { write, remove } = await makeWorkspace();
        const pin = { file: await write('pin', PIN) };
        return {
            settings: { kind: 'pkcs11', module: MODULE, token: { label: 'ekm' }, pin, sessions: 2 },
            secrets: { PIN: Buffer.from(PIN) },
            remove: async () => {
                hsm.remove();
                await remove();
            },
        };
    },
};
describeConformance(softHsmToken);
describeApi(softHsmToken);
describeSecrecy(softHsmToken);
