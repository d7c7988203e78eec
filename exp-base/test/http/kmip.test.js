import { describe } from 'vitest';
import { KmipCluster } from "../../adapters/kmip/transport/cluster.js";
import { startPyKmip } from "../kmip/pykmip.js";
import { registerKey } from "../kmip/register.js";
import { startTestServer } from "../kmip/test-server.js";
import { makeWorkspace } from "../support/workspace.js";
import { describeConformance } from "./conformance.js";
import { describeSecrecy } from "./secrecy.js";
import { describeApi } from "./suite.js";
/** Puts `keys` on the server that `options` lead to, and writes what a gateway's configuration needs. */
async function provide(keys, options, disabling, stop) {
    const cluster = new KmipCluster(options, () => undefined);
    for (const key of keys)
        await registerKey(cluster, key.name, key, disabling);
    cluster.close();
    const { write, remove } = await makeWorkspace();
    const { ca, certificate, key } = options.tls;
    const [server] = options.servers;
    return {
        settings: {
            kind: 'kmip',
            servers: [`127.0.0.1:${server?.port}`],
            tls: {
                ca: await write('ca.pem', ca),
                certificate: await write('client.pem', certificate),
                key: await write('client.key', key.reveal()),
            },
        },
        secrets: { 'client key': key.reveal() },
        remove: async () => {
            await stop();
            await remove();
        },
    };
}
const common = { canDisable: true, unusable: () => ({ disabled: true }) };
describe('PyKMIP', { timeout: 120_000 }, () => {
    const pykmip = {
        ...common,
        product: { vendor: 'PyKMIP 0.10.0 Software Server', name: 'KMIP key manager' },
        rsa: false,
        dates: [],
        longestValue: 64,
        provide: async (keys) => {
            const server = await startPyKmip();
            return provide(keys, server.options, 'leave inactive', () => server.stop());
        },
    };
    describeApi(pykmip);
    describeSecrecy(pykmip);
});
describe('a KMIP server with native key wrap', () => {
    const native = {
        ...common,
        product: { vendor: 'ekm-gateway test server', name: 'KMIP key manager' },
        rsa: true,
        dates: ['notBefore'],
        provide: async (keys) => {
            const { server, options } = await startTestServer();
            return provide(keys, options, 'revoke', () => server.stop());
        },
    };
    describeConformance(native);
    describeApi(native);
    describeSecrecy(native);
});
