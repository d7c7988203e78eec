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
import { median, paired, ratio, spreadOf } from "../statistics.js";
import { column, throughputs } from "../turns.js";
const GATEWAY = 'gateway';
const HONO = 'bare Hono';
const HTTPS = 'bare node:https';
export const wrap = {
    name: 'wrap',
    title: 'A256KWP wrap, software store, 32 keep-alive mTLS connections',
    async measure(bench) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const { laboratory } = bench;
            const gateway = __addDisposableResource(env_1, await laboratory.gateway(), true);
            const hono = __addDisposableResource(env_1, await laboratory.bareServer('hono'), true);
            const https = __addDisposableResource(env_1, await laboratory.bareServer('https'), true);
            const alg = 'A256KWP';
            const where = { pathPrefix: prefixes.software, key: keyNames.aes, alg };
            const [call] = makePair(where, laboratory.dataKey, laboratory.wrapped(alg));
            const contestants = [
                { name: GATEWAY, server: gateway, calls: [call] },
                { name: HONO, server: hono, calls: [call] },
                { name: HTTPS, server: https, calls: [call] },
            ];
            for (const { server } of contestants)
                await untilRight(server, call);
            const results = await throughputs(bench, contestants);
            const against = (name, member) => paired(column(results, GATEWAY, member), column(results, name, member), ratio);
            const names = contestants.map(({ name }) => name);
            return {
                checks: [
                    {
                        what: 'throughput of one core against a bare Hono handler',
                        relation: 'at least',
                        target: 0.85,
                        unit: '×',
                        measured: spreadOf(against(HONO, 'perCpuSecond')),
                    },
                    {
                        what: 'throughput of one core against a bare node:https handler',
                        relation: 'at least',
                        target: 0.57,
                        unit: '×',
                        measured: spreadOf(against(HTTPS, 'perCpuSecond')),
                    },
                ],
                series: [
                    ...names.map((what) => ({ what, unit: 'requests/s', values: column(results, what, 'perSecond') })),
                    ...names.map((what) => ({
                        what: `${what}, for each second of CPU`,
                        unit: 'requests',
                        values: column(results, what, 'perCpuSecond'),
                    })),
                ],
                notes: [
                    'Throughput of one core is requests for each second of CPU time: what else the machine does moves it less. ' +
                        `By the clock it is ${median(against(HONO, 'perSecond')).toFixed(2)} × of bare Hono, ` +
                        `${median(against(HTTPS, 'perSecond')).toFixed(2)} × of bare node:https.`,
                    ...names.map((name) => {
                        const [server, generator] = ['serverBusy', 'generatorBusy'].map((member) => (100 * median(column(results, name, member))).toFixed(0));
                        return `${name}: the server used ${server} % of a core, the load generator ${generator} %.`;
                    }),
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
    },
};
