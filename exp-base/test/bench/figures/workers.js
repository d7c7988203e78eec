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
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { makePair } from "../request.js";
import { paired, ratio, spreadOf } from "../statistics.js";
import { column, throughputs } from "../turns.js";
const ONE = '1 worker';
const TWO = '2 workers';
export const workers = {
    name: 'workers',
    title: 'CPU time of a request with 2 workers against 1, A256KWP wrap, software store, 32 connections',
    async measure(bench) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const { laboratory } = bench;
            const one = __addDisposableResource(env_1, await laboratory.gateway({ workers: 1 }), true);
            const two = __addDisposableResource(env_1, await laboratory.gateway({ workers: 2 }), true);
            const alg = 'A256KWP';
            const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg };
            const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg));
            for (const server of [one, two])
                await untilRight(server, call);
            const results = await throughputs(bench, [
                { name: ONE, server: one, calls: [call] },
                { name: TWO, server: two, calls: [call] },
            ]);
            const microseconds = (name) => column(results, name, 'perCpuSecond').map((count) => 1e6 / count);
            return {
                checks: [
                    {
                        what: 'CPU time of a request',
                        relation: 'at most',
                        target: 1.1,
                        unit: '×',
                        measured: spreadOf(paired(microseconds(TWO), microseconds(ONE), ratio)),
                    },
                ],
                series: [
                    ...[ONE, TWO].map((what) => ({ what, unit: 'µs of CPU a request', values: microseconds(what) })),
                    ...[ONE, TWO].map((what) => ({ what, unit: 'requests/s', values: column(results, what, 'perSecond') })),
                ],
                notes: ['All processes of the gateway count. They may use every core, the load generator has the second.'],
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
    },
};
