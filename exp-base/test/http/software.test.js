import { makeStore, PASSPHRASE } from "../support/gateway.js";
import { makeWorkspace } from "../support/workspace.js";
import { describeConformance } from "./conformance.js";
import { describeSecrecy } from "./secrecy.js";
import { describeApi } from "./suite.js";
const software = {
    product: { vendor: 'ekm-gateway', name: 'software key store' },
    rsa: true,
    canDisable: true,
    dates: ['notBefore', 'expires'],
    unusable: () => ({ disabled: true }),
    provide: async (keys) => {
        const { path, write, remove } = await makeWorkspace();
        const stored = keys.map(({ name, material, disabled, ...dates }) => ({
            name,
            jwk: material.kty === 'oct' ? { kty: material.kty, k: Buffer.from(material.k).toString('base64url') } : material.jwk,
            enabled: disabled !== true,
            ...dates,
        }));
        await makeStore(path('keys'), stored);
        const passphrase = { file: await write('passphrase', PASSPHRASE) };
        return {
            settings: { kind: 'software', directory: path('keys'), passphrase },
            secrets: { passphrase: Buffer.from(PASSPHRASE) },
            remove,
        };
    },
};
describeConformance(software);
describeApi(software);
describeSecrecy(software);
