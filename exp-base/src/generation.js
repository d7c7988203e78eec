import { digestOf } from "./config/compare.js";
import { Backend } from "./ekm/backend.js";
import { Admission } from "./http/admission.js";
import { createApp } from "./http/app.js";
import { buildPools } from "./pools.js";
import { shareBackend, shareLimits } from "./share.js";
import { reportTo } from "./telemetry/log.js";
import { Trust } from "./tls/trust.js";
/**
 * Opens what `config` names and `before` does not have open yet. Rejects with an OperatorError, and then leaves nothing
 * open of its own; what `before` has stays as it is in any case.
 */
export async function openGeneration(config, surroundings, before) {
    const limits = shareLimits(config.limits, surroundings.share);
    const backends = new Map();
    try {
        for (const [name, settings] of Object.entries(config.backends)) {
            backends.set(name, await openOne(name, settings, limits.keyCacheMs, surroundings, before?.backends.get(name)));
        }
        return compose(config, limits, backends, surroundings, before);
    }
    catch (error) {
        await closeBackends({ backends }, before);
        throw error;
    }
}
/** The backend as it is open already, where its settings are the same. */
async function openOne(name, settings, keyCacheMs, { open, share, telemetry }, old) {
    const own = shareBackend(settings, share);
    const { concurrency, queue, ...rest } = own;
    const digests = { adapter: digestOf(rest), backend: digestOf({ concurrency, queue, keyCacheMs }) };
    if (old?.digests.adapter === digests.adapter && old.digests.backend === digests.backend)
        return old;
    const adapter = old?.digests.adapter === digests.adapter ? old.adapter : await open(own, reportTo(telemetry.log, name));
    const observer = observe(name, telemetry);
    return { adapter, digests, backend: new Backend({ name, adapter, concurrency, queue, keyCacheMs, observer }) };
}
function observe(backend, { log, metrics }) {
    return {
        called: (operation, code, elapsedMs) => metrics.called(backend, operation, code, elapsedMs),
        rejected: (rejection) => metrics.rejected('backend', backend, rejection),
        changed: (isUp) => (isUp ? log.info('backend_up', { backend }) : log.error('backend_down', { backend })),
    };
}
function compose(config, limits, backends, surroundings, before) {
    const { clientOf, isDraining, telemetry, share } = surroundings;
    const open = new Map([...backends].map(([name, { backend }]) => [name, backend]));
    const pools = buildPools(config, open, telemetry.metrics, share);
    const admission = new Admission(config.listen.clientAuth);
    const { deadlineMs, maxBodyBytes } = limits;
    return {
        config,
        limits,
        pools,
        trust: new Trust(config.pools.flatMap(({ clients }) => clients), before?.trust),
        backends,
        admission,
        deadlineMs,
        app: createApp({ pools, deadlineMs, maxBodyBytes, admission, clientOf, isDraining, telemetry }),
    };
}
/** Lets go of the backends that `one` has open and `other` has not. */
export async function closeBackends(one, other) {
    const kept = [...(other?.backends.values() ?? [])];
    for (const { adapter, backend } of [...one.backends.values()].reverse()) {
        if (!kept.some((candidate) => candidate.backend === backend))
            backend.stop();
        if (!kept.some((candidate) => candidate.adapter === adapter))
            await adapter.close();
    }
}
