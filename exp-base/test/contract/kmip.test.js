import { afterAll, vi } from 'vitest';
import { wrapAlgorithms } from "../../adapters/contract/index.js";
import { open } from "../../adapters/kmip/index.js";
import { KmipCluster } from "../../adapters/kmip/transport/cluster.js";
import { registerKey } from "../kmip/register.js";
import { versionTwoReasons } from "../kmip/server/behaviour.js";
import { startTestServer } from "../kmip/test-server.js";
import { secret } from "../software/fixtures.js";
import { describeAdapter } from "./suite.js";
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const PASSWORD = 'correct horse battery staple';
/** One server of each kind that there is, or that is thought to be. */
const variants = [
    { name: 'native modes, KMIP 2.1' },
    {
        name: 'native modes, KMIP 1.4, X.509 public keys',
        options: { protocol: '1.4' },
        behaviour: { publicFormat: 'X509' },
    },
    {
        name: 'single blocks without padding, no links, transparent public keys, the reasons of KMIP 2.1',
        behaviour: { keyWrap: 'none', links: false, publicFormat: 'transparent', reasons: versionTwoReasons },
    },
    {
        name: 'a key wrap mode that is another one, user name and password',
        behaviour: { keyWrap: 'swapped', credentials: { username: 'ekm', password: PASSWORD } },
        options: { credentials: { username: 'ekm', password: secret(PASSWORD) } },
    },
    {
        name: 'keys that can only be fetched, and the permission to',
        behaviour: { keyWrap: 'none', ecb: 'none', oaep: false, exports: true },
        options: { keyAccess: 'export' },
    },
    {
        name: 'KMIP 1.2 and SHA-1 as the hash of MGF1 unless it is stated, which it cannot be',
        behaviour: { versions: ['1.2'], defaultMgfHash: 4 },
        algorithms: ['A256KW', 'A256KWP', 'RSA-OAEP'],
    },
];
for (const { name, behaviour, options = {}, algorithms = wrapAlgorithms } of variants) {
    const { server, options: serverOptions } = await startTestServer(behaviour);
    let starts = 0;
    afterAll(() => server.stop());
    describeAdapter({
        name: `a KMIP server with ${name}`,
        algorithms,
        canDisable: true,
        // A key past its Deactivation Date may still unwrap: that is not what the suite calls expired.
        dates: ['notBefore'],
        start: async (keys) => {
            const prefix = `${(starts += 1)}-`;
            const all = { ...serverOptions, ...options };
            const cluster = new KmipCluster(all, () => undefined);
            for (const key of keys)
                await registerKey(cluster, prefix + key.name, key, 'revoke');
            cluster.close();
            const adapter = await open(all, () => undefined);
            return { adapter, ref: (key) => (prefix + key), stop: () => adapter.close() };
        },
    });
}
