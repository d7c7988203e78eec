import { randomBytes, X509Certificate } from 'node:crypto';
import { openBackend } from "./backends.js";
import { assertReloadable, changedSettings } from "./config/compare.js";
import { TICKET_KEY_BYTES } from "./config/ticket-keys.js";
import { closeBackends, openGeneration } from "./generation.js";
import { serveHttp } from "./http/server.js";
import { Examination, inheritProofs } from "./pools.js";
import { whole } from "./share.js";
import { describeBug, openLog } from "./telemetry/log.js";
import { Metrics } from "./telemetry/metrics.js";
import { Listener } from "./tls/listener.js";
import { version } from "./version.js";
/**
 * Opens everything the configuration names, then listens. Rejects with an OperatorError and then leaves nothing open.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export async function startGateway(config, open = openBackend, options = {}) {
    const log = await openLog(config.log);
    let running;
    const metrics = new Metrics(() => ({
        ...(running?.status() ?? { backends: [], connections: { verified: 0, unverified: 0 } }),
        logLinesDropped: log.dropped,
    }));
    try {
        const surroundings = {
            telemetry: { log, metrics },
            open,
            share: options.share ?? whole,
            clientOf: (socket) => running?.listener.clientOf(socket) ?? { audit: {} },
            isDraining: () => running?.draining ?? false,
        };
        const generation = await openGeneration(config, surroundings);
        try {
            running = new RunningGateway(generation, surroundings, options);
            await running.start();
            return running;
        }
        catch (error) {
            await closeBackends(generation);
            throw error;
        }
    }
    catch (error) {
        await log.close();
        throw error;
    }
}
/** Tells the log that a gateway serves. */
export function announce(log, { listen, pools }, port, workers) {
    const { host, clientAuth } = listen;
    log.info('listening', { version, host, port, pools: pools.length, client_auth: clientAuth, workers });
    if (clientAuth === 'required')
        return;
    log.always('client_auth_disabled', {
        message: 'anyone who reaches this port can wrap and unwrap: development only',
    });
}
class RunningGateway {
    listener;
    log;
    metrics;
    port = 0;
    draining = false;
    #surroundings;
    #announce;
    #ticketKeys;
    #requests;
    #generation;
    #examination;
    /** Backends of earlier generations whose last requests are still under way. */
    #retiring = new Set();
    constructor(generation, surroundings, options) {
        this.#generation = generation;
        this.#surroundings = surroundings;
        this.#announce = options.announce ?? true;
        this.#ticketKeys = options.ticketKeys ?? randomBytes(TICKET_KEY_BYTES);
        this.log = surroundings.telemetry.log;
        this.metrics = surroundings.telemetry.metrics;
        const { host, port, clientAuth } = generation.config.listen;
        this.listener = new Listener({ host, port, clientAuth, log: this.log, events: this.metrics }, this.#listenerSettings(generation));
        this.#requests = serveHttp(this.listener, () => this.#generation, surroundings.telemetry);
    }
    async start() {
        this.port = await this.listener.listen();
        if (this.#announce)
            announce(this.log, this.config, this.port);
        this.#examine(this.#generation);
    }
    get config() {
        return this.#generation.config;
    }
    get requestsUnderWay() {
        return this.#requests.underWay;
    }
    status() {
        const backends = [...this.#generation.backends.values()].map(({ backend }) => backend.status);
        return {
            version,
            ready: !this.draining && backends.every(({ ready }) => ready),
            draining: this.draining,
            requests: this.requestsUnderWay,
            connections: this.listener.connections,
            backends,
        };
    }
    async prepare(config) {
        const before = this.#generation;
        const changed = changedSettings(before.config, config);
        assertReloadable(changed);
        const next = await openGeneration(config, this.#surroundings, before);
        return {
            changed,
            commit: () => this.#swap(before, next),
            abort: () => closeBackends(next, before),
        };
    }
    get onLearned() {
        return this.#onLearned;
    }
    set onLearned(listener) {
        this.#onLearned = listener;
        this.listener.onLearned = listener && ((issuer) => listener(issuer.toString()));
    }
    #onLearned;
    learn(issuer) {
        this.listener.learn(new X509Certificate(issuer));
    }
    async drain() {
        this.draining = true;
        this.#examination?.stop();
        if (this.#announce)
            this.log.info('draining', { requests: this.requestsUnderWay });
        this.listener.stopAccepting();
        const cutOff = await this.#requests.settled(this.#generation.limits.drainMs);
        this.listener.closeConnections();
        if (this.#announce)
            this.log.info('stopped', { requests_cut_off: cutOff });
        await closeBackends(this.#generation);
        await Promise.all(this.#retiring);
        await this.log.close();
        return cutOff;
    }
    #swap(before, next) {
        inheritProofs(next.pools, before.pools);
        const unproven = this.listener.renew(this.#listenerSettings(next));
        this.#generation = next;
        // Their next request would be refused. An idle one is spared it: its client comes back with a handshake.
        for (const socket of unproven)
            if (!this.#requests.isServing(socket))
                socket.destroySoon();
        this.#retire(before, next);
        this.#examine(next);
    }
    #examine({ pools }) {
        this.#examination?.stop();
        this.#examination = new Examination(pools, this.#announce ? this.log : undefined);
    }
    /** Lets go of what the next generation does not use, once the requests that use it are done. */
    #retire(before, next) {
        const done = this.#requests
            .passed(Math.max(this.#generation.limits.drainMs, this.#generation.deadlineMs))
            .then(() => closeBackends(before, next))
            .catch((error) => this.log.error('internal_error', describeBug(error)))
            .finally(() => this.#retiring.delete(done));
        this.#retiring.add(done);
    }
    #listenerSettings({ config, limits, trust }) {
        const { tls, ticketKeys } = config.listen;
        return {
            ...limits,
            credentials: tls,
            trust,
            ticketKeys: ticketKeys === undefined ? this.#ticketKeys : Buffer.from(ticketKeys.file.reveal()),
        };
    }
}
