import cluster from 'node:cluster';
import { OperatorError } from "../../adapters/contract/index.js";
import { openBackend } from "../backends.js";
import { readFrom } from "../config/files.js";
import { loadConfig } from "../config/load.js";
import { startGateway } from "../gateway.js";
import { describeBug } from "../telemetry/log.js";
import { answers, isOurs, MARK } from "./messages.js";
/**
 * Serves as one of several processes, as the primary says, until it says otherwise or is gone.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export function runWorker(open = openBackend) {
    // A signal to the whole group, such as Ctrl-C, is the primary's to act on.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
        process.on(signal, () => undefined);
    // Otherwise Node.js ends the process the moment the primary is gone, with requests under way.
    if (cluster.worker)
        cluster.worker.exitedAfterDisconnect = true;
    const worker = new Worker(open);
    process.on('message', (message) => void worker.receive(message));
    process.on('disconnect', () => void worker.end());
    send({ mark: MARK, ready: true });
    return new Promise(() => undefined);
}
class Worker {
    #open;
    #gateway;
    #file = '';
    #prepared;
    /** Orders are carried out one after the other; questions are answered at once. */
    #orders = Promise.resolve();
    constructor(open) {
        this.#open = open;
    }
    async receive(message) {
        if (!isOurs(message))
            return;
        if ('learned' in message)
            return this.#gateway?.learn(message.learned);
        const { id, order, body } = message;
        const handle = () => this.#handlers[order](body);
        const done = order === 'answer' ? handle() : this.#orders.then(handle);
        this.#orders = done.catch(() => undefined);
        await done.then((result) => send({ mark: MARK, id, result }), (error) => {
            const operator = error instanceof OperatorError ? { code: error.code, message: error.message } : undefined;
            if (operator === undefined)
                this.#gateway?.log.error('internal_error', describeBug(error));
            send({ mark: MARK, id, failure: operator === undefined ? {} : { operator } });
        });
    }
    async end() {
        await this.#gateway?.drain();
        process.exit(0);
    }
    #handlers = {
        start: async ({ file, contents, share, ticketKeys, learned }) => {
            this.#file = file;
            const config = loadConfig(file, process.env, readFrom(contents));
            const gateway = await startGateway(config, this.#open, {
                share,
                ticketKeys: Buffer.from(ticketKeys),
                announce: false,
            });
            this.#gateway = gateway;
            for (const issuer of learned)
                gateway.learn(issuer);
            gateway.onLearned = (issuer) => send({ mark: MARK, learned: issuer });
            return { port: gateway.port };
        },
        prepare: async (contents) => {
            await this.#prepared?.abort();
            this.#prepared = await this.#running.prepare(loadConfig(this.#file, process.env, readFrom(contents)));
            return this.#prepared.changed;
        },
        commit: async () => {
            const prepared = this.#prepared;
            this.#prepared = undefined;
            prepared?.commit();
            return undefined;
        },
        abort: async () => {
            const prepared = this.#prepared;
            this.#prepared = undefined;
            await prepared?.abort();
            return undefined;
        },
        answer: async (question) => answers[question](this.#running),
        drain: async () => this.#gateway?.drain() ?? 0,
    };
    get #running() {
        if (this.#gateway === undefined)
            throw new Error('the worker was not started');
        return this.#gateway;
    }
}
function send(message) {
    // Where the primary is gone, nobody is left to tell.
    if (process.connected)
        process.send?.(message, undefined, undefined, () => undefined);
}
