import { AdapterError } from "../../adapters/contract/index.js";
/** How much one call's duration weighs in the average. */
const WEIGHT = 0.1;
/** One pool's way to a backend. */
export class Lane {
    /** Calls of the pool under way at once, at most. */
    concurrency;
    running = 0;
    /** In the order in which they came. */
    waiting = new Set();
    constructor(concurrency = Infinity) {
        this.concurrency = concurrency;
    }
}
/**
 * Bounds what a backend is asked at a time. What finds no room waits, and the lanes take turns, so that one pool's flood is
 * not another's delay. What could not be answered by its deadline any more is refused and never sent.
 */
export class Capacity {
    #limits;
    #onRejection;
    /** Those in which somebody waits; the first has the next turn. */
    #lanes = new Set();
    #running = 0;
    #waiting = 0;
    /** What a call lately took on average. */
    #callMs = 0;
    constructor(limits, onRejection = () => undefined) {
        this.#limits = limits;
        this.#onRejection = onRejection;
    }
    get running() {
        return this.#running;
    }
    get waiting() {
        return this.#waiting;
    }
    /**
     * Takes a place, which the caller must {@link Capacity.leave}: at once, or when the promise resolves. Throws or rejects
     * with `BACKEND_BUSY`, or with the reason why the call was stopped; then there is no place to leave.
     */
    enter(lane, call) {
        if (this.#hasRoom(lane) && lane.waiting.size === 0) {
            this.#begin(lane);
            return undefined;
        }
        if (lane.waiting.size >= this.#limits.queue)
            throw this.#busy('queue_full');
        const expectedMs = ((this.#waiting + 1) / this.#limits.concurrency + 1) * this.#callMs;
        if (performance.now() + expectedMs > call.deadline)
            throw this.#busy('too_late');
        return this.#wait(lane, call);
    }
    /** @param elapsedMs how long the call took */
    leave(lane, elapsedMs) {
        this.#callMs += (elapsedMs - this.#callMs) * WEIGHT;
        this.#end(lane);
    }
    async #wait(lane, call) {
        const { promise, resolve, reject } = withResolvers();
        const waiting = { call, begin: resolve, refuse: reject };
        lane.waiting.add(waiting);
        this.#lanes.add(lane);
        this.#waiting += 1;
        try {
            await call.run(promise, () => this.#end(lane));
        }
        finally {
            // Only a call that was stopped is still in the line.
            if (lane.waiting.delete(waiting))
                this.#forget(lane);
        }
    }
    #forget(lane) {
        this.#waiting -= 1;
        if (lane.waiting.size === 0)
            this.#lanes.delete(lane);
    }
    #hasRoom(lane) {
        return this.#running < this.#limits.concurrency && lane.running < lane.concurrency;
    }
    #begin(lane) {
        this.#running += 1;
        lane.running += 1;
    }
    #end(lane) {
        this.#running -= 1;
        lane.running -= 1;
        for (const next of this.#lanes) {
            if (this.#running >= this.#limits.concurrency)
                return;
            if (this.#hasRoom(next))
                this.#serve(next);
        }
    }
    /** Gives one place to the first of a lane that can still be answered in time, and the lane's turn to the next. */
    #serve(lane) {
        this.#lanes.delete(lane);
        this.#lanes.add(lane);
        for (const waiting of lane.waiting) {
            lane.waiting.delete(waiting);
            this.#forget(lane);
            if (performance.now() + this.#callMs <= waiting.call.deadline) {
                this.#begin(lane);
                waiting.begin();
                return;
            }
            waiting.refuse(this.#busy('too_late'));
        }
    }
    #busy(rejection) {
        this.#onRejection(rejection);
        const drainMs = (this.#waiting / this.#limits.concurrency) * this.#callMs;
        return new AdapterError('BACKEND_BUSY', 'more is asked of the backend than it can do in time', {
            retryAfterSeconds: Math.max(1, Math.ceil(drainMs / 1000)),
        });
    }
}
/** `Promise.withResolvers` is not in Node.js 20. */
function withResolvers() {
    let resolve;
    let reject;
    const promise = new Promise((fulfil, refuse) => {
        resolve = fulfil;
        reject = refuse;
    });
    return { promise, resolve, reject };
}
