/** One request to whichever host takes it, and the promise that waits for the answer. */
export class Job {
    kind;
    payload;
    unwrapping;
    weight;
    promise;
    /** It has been tried on a session or host that was lost with it. */
    retried = false;
    #settle;
    #signal;
    #aborted;
    /** `payload` becomes the job's own and is zeroed when it is over. */
    constructor(kind, payload, { signal, unwrapping = false, weight = 1 }) {
        this.kind = kind;
        this.payload = payload;
        this.unwrapping = unwrapping;
        this.weight = weight;
        this.promise = new Promise((resolve, reject) => {
            this.#settle = { resolve, reject };
        });
        this.#signal = signal;
        this.#aborted = () => this.reject(signal?.reason);
        signal?.addEventListener('abort', this.#aborted, { once: true });
    }
    get over() {
        return this.#settle === undefined;
    }
    /** A result that comes too late is zeroed. */
    resolve(value) {
        const settle = this.#finish();
        if (settle === undefined)
            value.fill(0);
        else
            settle.resolve(value);
    }
    reject(error) {
        this.#finish()?.reject(error);
    }
    #finish() {
        const settle = this.#settle;
        if (settle === undefined)
            return undefined;
        this.#settle = undefined;
        this.#signal?.removeEventListener('abort', this.#aborted);
        this.payload.fill(0);
        return settle;
    }
}
