import { randomBytes } from 'node:crypto';
import { AdapterError } from "../../adapters/contract/index.js";
import { open } from "../../adapters/kmip/index.js";
import { Reports } from "../software/fixtures.js";
import { rsaKey } from "../contract/rsa-keys.js";
import { activateIfNeeded, registerAes, registerRsa } from "./register.js";
import { contextOf } from "../support/context.js";
import { startTestServer } from "./test-server.js";
export const ref = (text) => text;
/** A context whose signal fires after `ms`, as the gateway's does at its deadline. */
export function within(ms) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')), ms).unref();
    return contextOf(controller.signal, performance.now() + ms, 'kmip-test');
}
/** A test server with the active keys `aes` and `rsa`, and an adapter on it. */
export async function kmipFixture(behaviour = {}, options = {}) {
    const started = await startTestServer(behaviour);
    const kek = randomBytes(32);
    const cluster = started.cluster();
    const aesId = await registerAes(cluster, kek, { name: 'aes' });
    const { privateKeyId, publicKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'rsa' });
    for (const id of [aesId, privateKeyId, publicKeyId])
        await activateIfNeeded(cluster, id);
    cluster.close();
    const reports = new Reports();
    const adapter = await open({ ...started.options, ...options }, reports.report);
    return {
        ...started,
        adapter,
        reports,
        kek,
        aesId,
        [Symbol.asyncDispose]: async () => {
            await adapter.close();
            await started.server.stop();
        },
    };
}
