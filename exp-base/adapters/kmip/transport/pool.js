import { AdapterError } from "../../contract/index.js";
/** Servers drop what is idle for 30 s or more, and PyKMIP complains in its log after 10. */
const PING_AFTER_MS = 7000;
const CHECK_EVERY_MS = 2000;
/** So many stay open, however long nobody asks for anything; the others close after a while. */
const KEPT_WARM = 2;
const CLOSE_AFTER_MS = 120_000;
/** Connections to one server. Each serves one caller at a time; the one that was used last is used next. */
export class Pool {
    #options;
    #idle = [];
    #waiters = new Set();
    /** Open or being opened. */
    #count = 0;
    #opening = 0;
    #closed = false;
    #timer;
    #connections = new Set();
    /** When each idle connection last did real work, so that pings do not keep it for ever. */
    #worked = new WeakMap();
    constructor(options) {
        this.#options = options;
        this.#timer = setInterval(() => this.#tend(), CHECK_EVERY_MS);
        this.#timer.unref();
    }
    /** Connections that are open or being opened. */
    get size() {
        return this.#count;
    }
    /**
     * Lends a connection to `work`. Rejects with the signal's reason while waiting for one, with the error of opening one if
     * there is none at all, and with `CLOSED`.
     */
    async use(signal, work) {
        const connection = await this.#acquire(signal);
        this.#worked.set(connection, performance.now());
        try {
            return await work(connection);
        }
        finally {
            this.#release(connection);
        }
    }
    close() {
        this.#closed = true;
        clearInterval(this.#timer);
        for (const waiter of [...this.#waiters])
            waiter.reject(closed());
        for (const connection of [...this.#connections])
            connection.close();
    }
    #acquire(signal) {
        return new Promise((resolve, reject) => {
            if (this.#closed) {
                reject(closed());
                return;
            }
            if (signal.aborted) {
                reject(signal.reason);
                return;
            }
            const idle = this.#takeIdle();
            if (idle !== undefined) {
                resolve(idle);
                return;
            }
            const forget = () => {
                signal.removeEventListener('abort', onAbort);
                this.#waiters.delete(waiter);
            };
            const waiter = {
                resolve: (connection) => {
                    forget();
                    resolve(connection);
                },
                reject: (error) => {
                    forget();
                    reject(error);
                },
            };
            const onAbort = () => waiter.reject(signal.reason);
            signal.addEventListener('abort', onAbort, { once: true });
            this.#waiters.add(waiter);
            this.#openForWaiters();
        });
    }
    #takeIdle() {
        const connection = this.#idle.pop();
        if (connection !== undefined)
            connection.keepsAlive = true;
        return connection;
    }
    /** A connection belongs to no particular caller: one that gives up while it is being made leaves it to the next. */
    #openForWaiters() {
        while (!this.#closed && this.#count < this.#options.max && this.#opening < this.#waiters.size) {
            this.#count += 1;
            this.#opening += 1;
            let opened;
            const onClose = () => {
                this.#count -= 1;
                if (opened !== undefined)
                    this.#forget(opened);
            };
            void this.#options.open(onClose).then((connection) => {
                this.#opening -= 1;
                opened = connection;
                this.#connections.add(connection);
                if (!connection.isOpen)
                    this.#forget(connection);
                else if (this.#closed)
                    connection.close();
                else
                    this.#release(connection);
            }, (error) => {
                this.#opening -= 1;
                this.#count -= 1;
                // Somebody else's connection may still come free for those who wait.
                if (this.#count === 0)
                    for (const waiter of [...this.#waiters])
                        waiter.reject(error);
            });
        }
    }
    #release(connection) {
        if (!connection.isOpen) {
            this.#openForWaiters();
            return;
        }
        const [waiter] = this.#waiters;
        if (waiter !== undefined) {
            waiter.resolve(connection);
            return;
        }
        connection.keepsAlive = false;
        this.#idle.push(connection);
    }
    #forget(connection) {
        this.#connections.delete(connection);
        const at = this.#idle.indexOf(connection);
        if (at >= 0)
            this.#idle.splice(at, 1);
        this.#openForWaiters();
    }
    #tend() {
        const now = performance.now();
        for (const connection of [...this.#idle]) {
            if (now - connection.lastUsed < PING_AFTER_MS)
                continue;
            if (this.#count > KEPT_WARM && now - (this.#worked.get(connection) ?? 0) > CLOSE_AFTER_MS) {
                connection.close();
                continue;
            }
            this.#idle.splice(this.#idle.indexOf(connection), 1);
            void this.#options.ping(connection).finally(() => this.#release(connection));
        }
    }
}
const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed');
