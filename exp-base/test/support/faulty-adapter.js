import { AdapterError, } from "../../adapters/contract/index.js";
/** A real adapter with faults that the real thing cannot be made to show; without any, it passes the same contract. */
export class FaultyAdapter {
    fault = {};
    calls = [];
    /** What the operations gave or were given, to see whether it is zeroed. */
    buffers = [];
    lastSignal;
    #real;
    constructor(real) {
        this.#real = real;
    }
    get product() {
        return this.#real.product;
    }
    describe(key, context) {
        return this.#call('describe', context, () => this.#real.describe(key, context));
    }
    async wrap(key, algorithm, plaintext, context) {
        this.buffers.push(plaintext);
        return this.#keep(await this.#call('wrap', context, () => this.#real.wrap(key, algorithm, plaintext, context)));
    }
    async unwrap(key, algorithm, ciphertext, context) {
        return this.#keep(await this.#call('unwrap', context, () => this.#real.unwrap(key, algorithm, ciphertext, context)));
    }
    probe(context) {
        return this.#call('probe', context, () => this.#real.probe(context));
    }
    close() {
        return this.#real.close();
    }
    #keep(bytes) {
        this.buffers.push(bytes);
        return bytes;
    }
    async #call(name, context, real) {
        this.calls.push(name);
        this.lastSignal = context.signal;
        const { delayMs, fail, bug, retryAfterSeconds } = this.fault;
        const result = await real();
        if (delayMs !== undefined)
            await new Promise((resolve) => setTimeout(resolve, delayMs));
        if (bug !== undefined)
            throw bug;
        if (fail)
            throw new AdapterError(fail, 'a fault of the test', retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
        return result;
    }
}
