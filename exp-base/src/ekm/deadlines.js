import { AdapterError } from "../../adapters/contract/index.js";
/**
 * Stops calls whose time is over. All have one budget, so that they end in the order in which they began, and one timer
 * does for any number of them: a timer for each would cost a request as much as its audit record.
 */
export class Deadlines {
    budgetMs;
    #calls = new Set();
    #timer;
    constructor(budgetMs) {
        this.budgetMs = budgetMs;
    }
    /** `call` must be the one that ends last. */
    add(call) {
        this.#calls.add(call);
        if (this.#timer === undefined)
            this.#wait(this.budgetMs);
        else if (this.#calls.size === 1)
            this.#timer.ref();
    }
    remove(call) {
        // The timer stays for the calls to come; nothing has to wait for it.
        if (this.#calls.delete(call) && this.#calls.size === 0)
            this.#timer?.unref();
    }
    #wait(ms) {
        this.#timer = setTimeout(() => this.#stopLate(), ms);
    }
    #stopLate() {
        this.#timer = undefined;
        const now = performance.now();
        for (const call of this.#calls) {
            if (call.deadline > now)
                return this.#wait(Math.ceil(call.deadline - now));
            this.#calls.delete(call);
            call.stop(new AdapterError('DEADLINE_EXCEEDED', 'the deadline passed'));
        }
    }
}
