import { AdapterError, algorithmRow, wrapAlgorithms, } from "../contract/index.js";
import { KeyStore } from "./store.js";
import { usableKey } from "./usable-key.js";
/** How often the directory is looked at for keys that were added, removed, disabled or enabled. */
const REFRESH_MS = 1000;
/** Serves the keys of a {@link KeyStore} from memory. For development and trials: the keys are in this process. */
export class SoftwareAdapter {
    product = { vendor: 'ekm-gateway', name: 'software key store' };
    inspection = {
        facts: async (context) => {
            this.#assertOpen(context);
            return { fields: { directory: this.#store.directory, keys: this.#keys.size } };
        },
        ways: async (ref, context) => {
            const { kty } = this.#usable(ref, context).description;
            return wrapAlgorithms
                .filter((algorithm) => algorithmRow(algorithm).kty === kty)
                .map((algorithm) => ({ algorithm, way: "OpenSSL in the gateway's process", rejected: [] }));
        },
    };
    #store;
    #report;
    #keys = new Map();
    /** Versions that could not be read, so that each is reported once. */
    #refused = new Map();
    #timer;
    #refreshing;
    #directoryLost = false;
    #closed = false;
    constructor(store, report) {
        this.#store = store;
        this.#report = report;
    }
    /** Opens the store and reads every key; one that cannot be read stops the start. */
    static async open(options, report) {
        const adapter = new SoftwareAdapter(await KeyStore.open(options), report);
        for (const [name, version] of await adapter.#store.versions())
            await adapter.#load(name, version);
        adapter.#scheduleRefresh();
        return adapter;
    }
    async describe(ref, context) {
        return this.#usable(ref, context).description;
    }
    async wrap(ref, algorithm, plaintext, context) {
        return this.#usable(ref, context).wrap(algorithm, plaintext);
    }
    async unwrap(ref, algorithm, ciphertext, context) {
        return this.#usable(ref, context).unwrap(algorithm, ciphertext);
    }
    async probe(context) {
        this.#assertOpen(context);
        await this.#store.versions().catch(() => {
            throw new AdapterError('BACKEND_UNAVAILABLE', `${this.#store.directory} cannot be read`);
        });
    }
    async close() {
        this.#closed = true;
        clearTimeout(this.#timer);
        // A refresh under way would put keys back.
        await this.#refreshing;
        this.#keys.clear();
    }
    #assertOpen(context) {
        if (this.#closed)
            throw new AdapterError('CLOSED', 'the key store is closed');
        context.throwIfStopped();
    }
    #usable(ref, context) {
        this.#assertOpen(context);
        const loaded = this.#keys.get(ref);
        if (loaded === undefined)
            throw new AdapterError('KEY_NOT_FOUND', `the store has no key ${ref}`);
        loaded.key.assertUsable(new Date());
        return loaded.key;
    }
    async #load(name, version) {
        this.#keys.set(name, { version, key: await usableKey(await this.#store.read(name)) });
    }
    #scheduleRefresh() {
        this.#timer = setTimeout(() => {
            this.#refreshing = this.#refresh().finally(() => {
                if (!this.#closed)
                    this.#scheduleRefresh();
            });
        }, REFRESH_MS);
        this.#timer.unref();
    }
    /** Brings the keys up to date with the directory. What cannot be read is reported, and the last good version serves on. */
    async #refresh() {
        let versions;
        try {
            versions = await this.#store.versions();
        }
        catch {
            if (!this.#directoryLost)
                this.#report('error', 'key_store_unreadable', { directory: this.#store.directory });
            this.#directoryLost = true;
            return;
        }
        this.#directoryLost = false;
        if (this.#closed)
            return;
        for (const name of this.#keys.keys()) {
            if (versions.has(name))
                continue;
            this.#keys.delete(name);
            this.#report('warn', 'key_removed', { key: name });
        }
        for (const [name, version] of versions) {
            if (this.#closed)
                return;
            if (this.#keys.get(name)?.version === version || this.#refused.get(name) === version)
                continue;
            try {
                await this.#load(name, version);
                this.#refused.delete(name);
                this.#report('info', 'key_loaded', { key: name });
            }
            catch (error) {
                this.#refused.set(name, version);
                const reason = error instanceof Error ? error.message : 'unknown';
                this.#report('error', 'key_file_refused', { key: name, reason, still_serving: this.#keys.has(name) });
            }
        }
    }
}
