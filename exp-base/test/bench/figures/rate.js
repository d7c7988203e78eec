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
import { makePair } from "../request.js";
import { quantile, spreadOf } from "../statistics.js";
import { CONNECTIONS } from "../turns.js";
/** The quota that AWS publishes for the same job (KMS external key stores); Azure publishes none. */
const RATE = 1800;
const WINDOWS = 6;
export const rate = {
    name: 'rate',
    title: `${RATE} requests/s, open loop, wrap and unwrap in turn, 32 keep-alive mTLS connections`,
    async measure(bench) {
        const { laboratory, plan } = bench;
        const { dataKey } = laboratory;
        const hsm = await laboratory.softHsm();
        try {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                const gateway = __addDisposableResource(env_1, await laboratory.gateway({ hsm }), true);
                const wrapped = wrapOnToken(hsm.token, keyNames.aes, dataKey);
                const pair = (pathPrefix, alg, value) => makePair({ pathPrefix, key: keyNames.aes, alg }, dataKey, value);
                const onStore = ['A256KW', 'A256KWP'].flatMap((alg) => pair(prefixes.software, alg, laboratory.wrapped(alg)));
                const onToken = pair(prefixes.hsm, 'A256KW', wrapped);
                for (const call of [...onStore, ...onToken])
                    await untilRight(gateway, call);
                laboratory.moveHostsAway(gateway);
                const store = await hold(bench, 'software store', gateway, onStore);
                const token1 = await hold(bench, 'SoftHSM', gateway, onToken);
                const all = [store, token1];
                return {
                    checks: all.flatMap(({ what, result }) => {
                        const failed = Object.values(result.failures).reduce((sum, count) => sum + count, 0);
                        return [
                            {
                                what: `${what}: failed requests`,
                                relation: 'at most',
                                target: 0,
                                unit: 'of',
                                measured: spreadOf([failed]),
                            },
                            {
                                what: `${what}: 99th percentile`,
                                relation: 'at most',
                                target: 10,
                                unit: 'ms',
                                measured: { ...spreadOf(windows(result.times)), median: quantile(result.times, 0.99) },
                            },
                        ];
                    }),
                    series: all.map(({ what, result }) => ({
                        what: `${what}: 50th, 99th, 99.9th percentile, longest`,
                        unit: 'ms',
                        values: [0.5, 0.99, 0.999, 1].map((share) => quantile(result.times, share)),
                    })),
                    notes: [
                        `${plan.rateSeconds} s for each backend. A time counts from when the request was due, sent or not; its spread is that of ${WINDOWS} parts of the run.`,
                        ...all.flatMap(({ what, result: { failures } }) => Object.entries(failures).map(([failure, count]) => `${what}: ${count} × ${failure}.`)),
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
async function hold({ plan, progress }, what, { target }, calls) {
    progress(`${what}, warming up`);
    const connections = await openConnections(target, CONNECTIONS);
    await openLoop({ connections, calls, rate: RATE }, plan.warmUpSeconds);
    progress(`${what}, ${plan.rateSeconds} s`);
    const result = await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds);
    for (const connection of connections)
        connection.close();
    return { what, result };
}
/** The 99th percentile of each part of a run. */
function windows(times) {
    const length = Math.ceil(times.length / WINDOWS);
    return Array.from({ length: WINDOWS }, (_, index) => quantile(times.slice(index * length, (index + 1) * length), 0.99));
}
