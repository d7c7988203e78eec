import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { stringify } from 'yaml';
import { Secret } from "../../adapters/contract/index.js";
import { KeyStore } from "../../adapters/software/store.js";
import { serveAdmin } from "../../src/admin/server.js";
import { adminSource } from "../../src/admin/source.js";
import { loadConfig } from "../../src/config/load.js";
import { startGateway } from "../../src/gateway.js";
import { answers } from "../../src/workers/messages.js";
import { CLIENT_CN } from "./pki.js";
import { makeWorkspace } from "./workspace.js";
export const PASSPHRASE = 'correct horse battery staple 7c1f';
/** A store whose passphrase is stretched cheaply, so that tests start at once. */
export async function makeStore(directory, keys) {
    const passphrase = new Secret(Buffer.from(PASSPHRASE));
    const store = await KeyStore.openOrCreate({ directory, passphrase }, { N: 2 ** 14, r: 8, p: 1 });
    for (const key of keys)
        await store.add({ enabled: true, created: new Date(), ...key });
}
/** Writes certificates, a store with `keys` and a configuration file, without starting anything. */
export async function writeGatewayFiles(pki, keys, settings = {}) {
    const workspace = await makeWorkspace();
    await makeStore(workspace.path('keys'), keys);
    await workspace.write('passphrase', PASSPHRASE + '\n');
    await workspace.write('server.pem', pki.server.certificate);
    await workspace.write('server.key', pki.server.key);
    await workspace.write('client-ca.pem', pki.clientCa.certificate);
    for (const [name, content] of Object.entries(settings.files ?? {}))
        await workspace.write(name, content);
    const config = {
        ...settings.top,
        listen: { host: '127.0.0.1', port: 0, tls: { certificate: 'server.pem', key: 'server.key' }, ...settings.listen },
        limits: { deadlineMs: 2000, ...settings.limits },
        log: { level: 'debug', destination: 'gateway.log', ...settings.log },
        ...(settings.admin && { admin: settings.admin }),
        ...(settings.workers !== undefined && { workers: settings.workers }),
        ...(settings.info && { info: settings.info }),
        backends: {
            ...settings.backends,
            store: settings.backend ?? { kind: 'software', directory: 'keys', passphrase: { file: 'passphrase' } },
        },
        pools: settings.pools ?? [
            {
                name: 'contoso',
                pathPrefix: 'azureekm/contoso',
                clients: [{ subjectCommonNames: [CLIENT_CN], caCertificates: ['client-ca.pem'] }],
                backend: 'store',
                keys: 'all',
            },
        ],
    };
    const file = await workspace.write('gateway.yaml', stringify(config));
    return { workspace, file };
}
export async function startTestGateway(pki, keys, settings = {}, open) {
    const { workspace, file } = await writeGatewayFiles(pki, keys, settings);
    const config = loadConfig(file, {});
    const gateway = await startGateway(config, open);
    const source = adminSource({
        collect: async (question) => [await answers[question](gateway)],
        certificateDaysLeft: () => [],
    });
    const admin = config.admin && (await serveAdmin(config.admin.host, config.admin.port, source));
    const logText = async () => {
        // Lines are gathered for some milliseconds and written together.
        await new Promise((resolve) => setTimeout(resolve, 30));
        return readFile(workspace.path('gateway.log'), 'utf8');
    };
    return {
        gateway,
        port: gateway.port,
        adminPort: admin?.port,
        pki,
        workspace,
        logText,
        logged: async (event) => (await logText())
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line))
            .filter((line) => line.event === event),
        stop: async () => {
            await gateway.drain();
            await admin?.close();
            await workspace.remove();
        },
    };
}
export const aesKey = (name, raw = randomBytes(32)) => ({
    name,
    jwk: { kty: 'oct', k: raw.toString('base64url') },
});
