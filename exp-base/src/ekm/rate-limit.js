import { AdapterError } from "../../adapters/contract/index.js";
/** A token bucket: `perSecond` requests on average, and as many at once after a quiet second. */
export class RateLimit {
    #perSecond;
    #onRejection;
    #tokens;
    #at = performance.now();
    constructor(perSecond, onRejection = () => undefined) {
        this.#perSecond = perSecond;
        this.#onRejection = onRejection;
        this.#tokens = perSecond;
    }
    /** Throws `BACKEND_BUSY` where a request is one too many. */
    take() {
        const now = performance.now();
        this.#tokens = Math.min(this.#perSecond, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
        this.#at = now;
        if (this.#tokens >= 1) {
            this.#tokens -= 1;
            return;
        }
        this.#onRejection();
        throw new AdapterError('BACKEND_BUSY', 'the pool asks more often than its limit allows', {
            retryAfterSeconds: Math.ceil((1 - this.#tokens) / this.#perSecond),
        });
    }
}
