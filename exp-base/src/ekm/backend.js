import { AdapterError, } from "../../adapters/contract/index.js";
import { Breaker } from "./breaker.js";
import { Capacity } from "./capacity.js";
const zero = (late) => late.fill(0);
/**
 * One of the operator's backends: what it may be asked at a time, whether it is up, and what it lately said of its keys, so
 * that a wrap costs one trip and not two.
 */
export class Backend {
    name;
    #adapter;
    #keyCacheMs;
    #observer;
    #capacity;
    #breaker;
    /** Only keys that the backend has are remembered, so the backend bounds its size. */
    #descriptions = new Map();
    constructor({ name, adapter, keyCacheMs, observer, concurrency, queue }) {
        this.name = name;
        this.#adapter = adapter;
        this.#keyCacheMs = keyCacheMs;
        this.#observer = observer;
        this.#capacity = new Capacity({ concurrency, queue }, (rejection) => observer.rejected(rejection));
        this.#breaker = new Breaker({
            probe: (context) => adapter.probe(context),
            onChange: (isUp) => observer.changed(isUp),
        });
    }
    get product() {
        return this.#adapter.product;
    }
    get status() {
        return {
            name: this.name,
            up: !this.#breaker.isOpen,
            ready: this.#breaker.isReady,
            running: this.#capacity.running,
            waiting: this.#capacity.waiting,
            connections: this.#adapter.connections ?? 0,
        };
    }
    /** The key's description, remembered or fetched. */
    async recall(ref, lane, call) {
        const known = this.#descriptions.get(ref);
        if (known !== undefined && performance.now() < known.until)
            return known.description;
        return this.describe(ref, lane, call);
    }
    /** The key's description as the backend gives it now. */
    async describe(ref, lane, call) {
        try {
            const description = await this.#ask('describe', lane, call, () => this.#adapter.describe(ref, call));
            this.#descriptions.set(ref, { description, until: performance.now() + this.#keyCacheMs });
            return description;
        }
        catch (error) {
            this.#descriptions.delete(ref);
            throw error;
        }
    }
    /** The result is the caller's; `plaintext` stays the caller's to zero. */
    wrap(ref, lane, algorithm, plaintext, call) {
        return this.#ask('wrap', lane, call, () => this.#adapter.wrap(ref, algorithm, plaintext, call), zero);
    }
    /** The result is a data key and the caller's to zero. */
    unwrap(ref, lane, algorithm, ciphertext, call) {
        return this.#ask('unwrap', lane, call, () => this.#adapter.unwrap(ref, algorithm, ciphertext, call), zero);
    }
    /** Whether both have one adapter, so that a reference means the same key to both. */
    sharesAdapter(other) {
        return this.#adapter === other.#adapter;
    }
    /** Probes no more. The adapter is closed by whoever opened it. */
    stop() {
        this.#breaker.stop();
    }
    async #ask(operation, lane, call, work, discard) {
        call.backend = this.name;
        this.#breaker.assertClosed();
        const turn = this.#capacity.enter(lane, call);
        if (turn !== undefined)
            await turn;
        const start = performance.now();
        const working = work();
        // A call that was given up keeps its place until the backend has let go of it.
        const leave = () => this.#capacity.leave(lane, performance.now() - start);
        working.then(leave, leave);
        const tell = (code) => {
            const elapsedMs = performance.now() - start;
            call.backendMs = (call.backendMs ?? 0) + elapsedMs;
            this.#observer.called(operation, code, elapsedMs);
        };
        try {
            const result = await call.run(working, discard);
            this.#breaker.note();
            tell('OK');
            return result;
        }
        catch (error) {
            this.#breaker.note(error);
            tell(error instanceof AdapterError ? error.code : 'INTERNAL');
            throw error;
        }
    }
}
