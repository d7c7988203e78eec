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
import { wrapOnToken } from "../direct-token.js";
import { makePair } from "../request.js";
import { median, paired, ratio, spreadOf } from "../statistics.js";
import { column, throughputs } from "../turns.js";
const SOFTWARE = 'software store';
const HSM = 'SoftHSM';
const alg = 'A256KW';
export const softhsm = {
    name: 'softhsm',
    title: 'A256KW wrap and unwrap in turn, SoftHSM against the software store, one gateway, 32 connections',
    async measure(bench) {
        const { laboratory } = bench;
        const hsm = await laboratory.softHsm();
        try {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                const gateway = __addDisposableResource(env_1, await laboratory.gateway({ hsm }), true);
                const wrapped = wrapOnToken(hsm.token, keyNames.aes, laboratory.dataKey);
                const { dataKey } = laboratory;
                const onStore = makePair({ pathPrefix: prefixes.software, key: keyNames.aes, alg }, dataKey, laboratory.wrapped(alg));
                const onToken = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped);
                for (const call of [...onStore, ...onToken])
                    await untilRight(gateway, call);
                laboratory.moveHostsAway(gateway);
                const results = await throughputs(bench, [
                    { name: SOFTWARE, server: gateway, calls: onStore },
                    { name: HSM, server: gateway, calls: onToken },
                ]);
                const values = (name) => column(results, name, 'perSecond');
                return {
                    checks: [
                        {
                            what: 'SoftHSM throughput against the software store',
                            relation: 'at least',
                            target: 0.5,
                            unit: '×',
                            measured: spreadOf(paired(values(HSM), values(SOFTWARE), ratio)),
                        },
                    ],
                    series: [SOFTWARE, HSM].map((what) => ({ what, unit: 'requests/s', values: values(what) })),
                    notes: [
                        `SoftHSM runs in the gateway's HSM hosts, which share the load generator's core: a real HSM has a processor of ` +
                            `its own. Gateway and hosts together used ${(100 * median(column(results, HSM, 'serverBusy'))).toFixed(0)} % of a core.`,
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
