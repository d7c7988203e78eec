var __addDisposableResource = (this && this.__addDisposableResource) || function (env, value, async) {
    if (value !== null && value !== void 0) {
        if (typeof value !== "object" && typeof value !== "function") throw new TypeError("Object expected.");
        var dispose, inner;
        if (async) {
            if (!Symbol.asyncDispose) throw new TypeError("Symbol.asyncDispose is not defined.");
            dispose = value[Symbol.asyncDispose];
        }
        if (dispose === void 0) {
            if (!Symbol.dispose) throw new TypeError("Symbol.dispose is not defined.");
            dispose = value[Symbol.dispose];
            if (async) inner = dispose;
        }
        if (typeof dispose !== "function") throw new TypeError("Object not disposable.");
        if (inner) dispose = function() { try { inner.call(this); } catch (e) { return Promise.reject(e); } };
        env.stack.push({ value: value, dispose: dispose, async: async });
    }
    else if (async) {
        env.stack.push({ async: true });
    }
    return value;
};
var __disposeResources = (this && this.__disposeResources) || (function (SuppressedError) {
    return function (env) {
        function fail(e) {
            env.error = env.hasError ? new SuppressedError(e, env.error, "An error was suppressed during disposal.") : e;
            env.hasError = true;
        }
        var r, s = 0;
        function next() {
            while (r = env.stack.pop()) {
                try {
                    if (!r.async && s === 1) return s = 0, env.stack.push(r), Promise.resolve().then(next);
                    if (r.dispose) {
                        var result = r.dispose.call(r.value);
                        if (r.async) return s |= 2, Promise.resolve(result).then(next, function(e) { fail(e); return next(); });
                    }
                    else s |= 1;
                }
                catch (e) {
                    fail(e);
                }
            }
            if (s === 1) return env.hasError ? Promise.reject(env.error) : Promise.resolve();
            if (env.hasError) throw env.error;
        }
        return next();
    };
})(typeof SuppressedError === "function" ? SuppressedError : function (error, suppressed, message) {
    var e = new Error(message);
    return e.name = "SuppressedError", e.error = error, e.suppressed = suppressed, e;
});
import { wrapOnToken } from "../direct-token.js";
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { openConnections, openLoop } from "../load.js";
import { childrenOf, handlesOf, residentMiB, treeOf } from "../process-tree.js";
import { makePair } from "../request.js";
import { median, quantile, spreadOf } from "../statistics.js";
import { CONNECTIONS } from "../turns.js";
const RATE = 500;
const SAMPLE_MS = 5000;
/** Memory settles in so many of the first minutes, but in no more than a sixth of a run that is shorter than half an hour. */
const SETTLING_MINUTES = 5;
const SHARE_TO_SETTLE = 1 / 6;
export const soak = {
    name: 'soak',
    title: `${RATE} requests/s for a long time, software store and SoftHSM in turn, wrap and unwrap`,
    onlyByName: true,
    async measure({ laboratory, plan, progress }) {
        const minutes = plan.soakMinutes;
        const { dataKey } = laboratory;
        const hsm = await laboratory.softHsm();
        try {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                const gateway = __addDisposableResource(env_1, await laboratory.gateway({ hsm }), true);
                const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey);
                const alg = 'A256KW';
                const key = keyNames.aes;
                const calls = [
                    ...makePair({ pathPrefix: prefixes.software, key, alg }, dataKey, laboratory.wrapped(alg)),
                    ...makePair({ pathPrefix: prefixes.hsm, key, alg }, dataKey, wrapped),
                ];
                for (const call of calls)
                    await untilRight(gateway, call);
                const connections = await openConnections(gateway.target, CONNECTIONS);
                const start = performance.now();
                const samples = [];
                const sample = () => {
                    const tree = treeOf(gateway.pid);
                    const minute = (performance.now() - start) / 60_000;
                    const now = {
                        minute,
                        resident: residentMiB(tree),
                        handles: handlesOf(tree),
                        sessions: childrenOf(gateway.pid).length,
                    };
                    samples.push(now);
                    progress(`minute ${minute.toFixed(1)} of ${minutes}: ${now.resident.toFixed(0)} MiB, ${now.handles} handles`);
                };
                const timer = setInterval(sample, Math.min(SAMPLE_MS, (minutes * 60_000) / 60));
                const { times, failures } = await openLoop({ connections, calls, rate: RATE }, minutes * 60);
                clearInterval(timer);
                for (const connection of connections)
                    connection.close();
                const settled = Math.min(SETTLING_MINUTES, minutes * SHARE_TO_SETTLE);
                const part = (from, to) => samples.filter(({ minute }) => minute >= from && minute < to);
                const first = part(settled, settled * 1.2);
                const last = part(minutes - settled * 0.2, Infinity);
                const base = median(first.map(({ resident }) => resident));
                const growth = (member) => Math.max(...last.map((one) => one[member])) - Math.max(...first.map((one) => one[member]));
                const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
                const none = { relation: 'at most', target: 0, unit: 'of' };
                return {
                    checks: [
                        {
                            what: `resident memory grows after minute ${settled.toFixed(1)} by`,
                            relation: 'at most',
                            target: 5,
                            unit: '%',
                            measured: spreadOf(last.map(({ resident }) => (100 * (resident - base)) / base)),
                        },
                        { ...none, what: 'more open handles', measured: spreadOf([growth('handles')]) },
                        { ...none, what: 'more HSM sessions', measured: spreadOf([growth('sessions')]) },
                        { ...none, what: 'failed requests', measured: spreadOf([failed]) },
                    ],
                    series: [
                        { what: 'resident memory of the gateway and its hosts', unit: 'MiB', values: byMinute(samples, 'resident') },
                        { what: 'open handles', unit: 'handles', values: byMinute(samples, 'handles') },
                    ],
                    notes: [
                        `${minutes} minutes, ${times.length} requests, 99th percentile ${quantile(times, 0.99).toFixed(1)} ms.`,
                        ...Object.entries(failures).map(([what, count]) => `${count} × ${what}.`),
                    ],
                };
            }
            catch (e_1) {
                env_1.error = e_1;
                env_1.hasError = true;
            }
            finally {
                const result_1 = __disposeResources(env_1);
                if (result_1)
                    await result_1;
            }
        }
        finally {
            hsm.remove();
        }
    },
};
function byMinute(samples, member) {
    const minutes = new Map();
    for (const sample of samples) {
        const minute = Math.floor(sample.minute);
        minutes.set(minute, [...(minutes.get(minute) ?? []), sample[member]]);
    }
    return [...minutes.values()].map(median);
}
