import { contextOf } from "../../support/context.js";
export const ref = (text) => text;
/** A call with as long a deadline as a test needs; not the gateway's 200 ms. */
export function context(ms = 10_000) {
    return contextOf(AbortSignal.timeout(ms), performance.now() + ms, 'test');
}
/** A call whose deadline fires as the gateway's does, with an error of its own as reason. */
export function contextUntil(ms, reason) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), ms);
    return contextOf(controller.signal, performance.now() + ms, 'test');
}
/** A report that remembers. */
export function recorder() {
    const reported = [];
    return {
        reported,
        report: (level, event, fields) => void reported.push({ level, event, fields }),
        of: (event) => reported.filter((entry) => entry.event === event),
    };
}
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Waits until `condition` holds; gives the milliseconds that it took. */
export async function until(what, condition, ms = 5000) {
    const start = performance.now();
    while (performance.now() - start < ms) {
        if (await condition())
            return performance.now() - start;
        await sleep(10);
    }
    throw new Error(`not within ${ms} ms: ${what}`);
}
