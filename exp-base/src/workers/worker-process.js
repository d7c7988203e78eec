import cluster, {} from 'node:cluster';
import { OperatorError } from "../../adapters/contract/index.js";
import { isOurs, MARK } from "./messages.js";
/** A worker that ended, or did not answer, instead of doing what it was told. */
export class WorkerLost extends Error {
    name = 'WorkerLost';
}
/** One worker, as the primary sees it. */
export class WorkerProcess {
    index;
    ended;
    started = performance.now();
    /** Is told of each issuing CA that the worker learned, as PEM. */
    onLearned;
    #worker;
    #waiting = new Map();
    #lastId = 0;
    /** What waits until the worker listens. */
    #unsent = [];
    #over = false;
    constructor(index) {
        this.index = index;
        this.#worker = cluster.fork();
        this.#worker.on('message', (message) => this.#receive(message));
        // A channel that breaks is told by the worker's end.
        this.#worker.on('error', () => undefined);
        this.ended = new Promise((resolve) => {
            this.#worker.once('exit', (code, signal) => {
                this.#over = true;
                for (const { reject } of this.#waiting.values())
                    reject(new WorkerLost('the worker ended'));
                this.#waiting.clear();
                resolve({ code, signal });
            });
        });
    }
    get pid() {
        return this.#worker.process.pid;
    }
    get stdout() {
        return this.#worker.process.stdout;
    }
    get stderr() {
        return this.#worker.process.stderr;
    }
    /**
     * Rejects with the OperatorError that the worker told, with a {@link WorkerLost} if it ends or lets `patienceMs` pass,
     * and with another error for a bug, which the worker logs.
     */
    order(order, body, patienceMs) {
        if (this.#over)
            return Promise.reject(new WorkerLost('the worker ended'));
        const id = (this.#lastId += 1);
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.#waiting.delete(id);
                reject(new WorkerLost('the worker did not answer'));
            }, patienceMs);
            this.#waiting.set(id, {
                resolve: (result) => {
                    clearTimeout(timer);
                    resolve(result);
                },
                reject: (error) => {
                    clearTimeout(timer);
                    reject(error);
                },
            });
            this.#send({ mark: MARK, id, order, body });
        });
    }
    learn(issuer) {
        this.#send({ mark: MARK, learned: issuer });
    }
    kill() {
        this.#worker.process.kill('SIGKILL');
    }
    #send(message) {
        if (this.#unsent !== undefined)
            this.#unsent.push(message);
        else if (this.#worker.isConnected())
            this.#worker.process.send(message, undefined, undefined, () => undefined);
    }
    #receive(message) {
        if (!isOurs(message))
            return;
        if ('ready' in message) {
            const unsent = this.#unsent ?? [];
            this.#unsent = undefined;
            for (const order of unsent)
                this.#send(order);
            return;
        }
        if ('learned' in message)
            return this.onLearned?.(message.learned);
        const outcome = message;
        const waiting = this.#waiting.get(outcome.id);
        this.#waiting.delete(outcome.id);
        if ('result' in outcome)
            return waiting?.resolve(outcome.result);
        const { operator } = outcome.failure;
        waiting?.reject(operator ? new OperatorError(operator.code, operator.message) : new Error('a worker failed'));
    }
}
