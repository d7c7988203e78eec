import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { serveAdmin } from "./admin/server.js";
import { adminSource } from "./admin/source.js";
import { TICKET_KEY_BYTES } from "./config/ticket-keys.js";
import { announce, startGateway } from "./gateway.js";
import { readConfig, Reloader } from "./reload.js";
import { openLog } from "./telemetry/log.js";
import { ExpiryWatch } from "./tls/expiry.js";
import { WorkerGroup } from "./workers/group.js";
import { answers } from "./workers/messages.js";
const COLLECT_MS = 1000;
/** Rejects with an OperatorError, and then leaves nothing open. */
export async function startService(file, environment, options = {}) {
    const loaded = readConfig(file, environment);
    const { workers } = loaded.config;
    const count = workers === 'auto' ? availableParallelism() : workers;
    const start = { file, environment, loaded };
    const service = count === 1 ? await startAlone(start) : await startWorkers(start, count, options);
    const { admin } = loaded.config;
    return admin === undefined ? service : withAdmin(service, admin);
}
/** The admin port serves until the gateway has drained: whoever balances load has to see that it does. */
async function withAdmin(service, { host, port }) {
    try {
        const server = await serveAdmin(host, port, adminSource(service));
        service.log.info('admin_listening', { host, port: server.port });
        const drain = service.drain.bind(service);
        return Object.assign(service, { drain: () => drain().finally(() => server.close()) });
    }
    catch (error) {
        await service.drain();
        throw error;
    }
}
async function startAlone({ file, environment, loaded }) {
    const gateway = await startGateway(loaded.config);
    const { log, port } = gateway;
    const expiry = new ExpiryWatch(log, loaded.config);
    const apply = async (config) => {
        const prepared = await gateway.prepare(config);
        if (gateway.status().draining)
            await prepared.abort();
        else
            prepared.commit();
        expiry.follow(config);
        return prepared.changed;
    };
    const reloader = new Reloader({ file, environment, log, apply }, loaded);
    return {
        port,
        log,
        get config() {
            return gateway.config;
        },
        get draining() {
            return gateway.status().draining;
        },
        collect: async (question) => [await answers[question](gateway)],
        certificateDaysLeft: () => expiry.daysLeft(),
        reload: (cause) => reloader.reload(cause),
        drain: async () => {
            expiry.close();
            reloader.close();
            return gateway.drain();
        },
    };
}
async function startWorkers({ file, environment, loaded }, count, options) {
    let { config } = loaded;
    const log = await openLog(config.log);
    const { destination } = config.log;
    const started = await WorkerGroup.start({ ...options, count, file, log, destination, ticketKeys: randomBytes(TICKET_KEY_BYTES) }, loaded.recorder.contents).catch(async (error) => {
        await log.close();
        throw error;
    });
    const { group, port } = started;
    announce(log, config, port, count);
    const expiry = new ExpiryWatch(log, config);
    const apply = async (next, contents) => {
        const changed = await group.reload(contents);
        config = next;
        expiry.follow(next);
        return changed;
    };
    const reloader = new Reloader({ file, environment, log, apply }, loaded);
    return {
        port,
        log,
        get config() {
            return config;
        },
        get draining() {
            return group.draining;
        },
        collect: (question, patienceMs = COLLECT_MS) => group.collect(question, patienceMs),
        certificateDaysLeft: () => expiry.daysLeft(),
        reload: (cause) => reloader.reload(cause),
        drain: async () => {
            expiry.close();
            reloader.close();
            log.info('draining', { workers: count });
            const cutOff = await group.drain(config.limits.drainMs);
            log.info('stopped', { requests_cut_off: cutOff });
            await log.close();
            return cutOff;
        },
    };
}
