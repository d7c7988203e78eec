import { AdapterError } from "../../adapters/contract/index.js";
/**
 * One request's time: its deadline, and the reasons to stop before it. Adapters see it as their {@link CallContext}.
 * Whoever makes one must {@link Call.end} it.
 */
export class Call {
    deadline;
    correlationId = '';
    /** The backend that was asked last. */
    backend;
    /** Whether it was asked in place of another, which is down. */
    standby = false;
    /** Milliseconds spent waiting for the backend; `undefined` until it is asked. */
    backendMs;
    #timer;
    #controller;
    #stopped;
    #onStop;
    /** @param budgetMs milliseconds from now to the deadline */
    constructor(budgetMs) {
        this.deadline = performance.now() + budgetMs;
        this.#timer = setTimeout(() => this.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed')), budgetMs);
    }
    get signal() {
        if (this.#controller === undefined) {
            this.#controller = new AbortController();
            if (this.#stopped)
                this.#controller.abort(this.#stopped);
        }
        return this.#controller.signal;
    }
    throwIfStopped() {
        if (this.#stopped)
            throw this.#stopped;
    }
    /** Stops what runs on behalf of this call. Only the first reason counts. */
    stop(reason) {
        if (this.#stopped)
            return;
        this.#stopped = reason;
        this.#controller?.abort(reason);
        this.#onStop?.(reason);
    }
    end() {
        clearTimeout(this.#timer);
    }
    /**
     * Waits for `work`, but not longer than the call lasts: if it is stopped first, rejects at once with the reason, and
     * `discard` gets what `work` brings later. One piece of work at a time.
     */
    run(work, discard) {
        return new Promise((resolve, reject) => {
            this.#onStop = reject;
            if (this.#stopped)
                reject(this.#stopped);
            work.then((value) => {
                if (this.#stopped)
                    discard?.(value);
                else
                    resolve(value);
                this.#onStop = undefined;
            }, (error) => {
                reject(error);
                this.#onStop = undefined;
            });
        });
    }
}
