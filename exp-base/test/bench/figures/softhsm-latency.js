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
import { performance } from 'node:perf_hooks';
import { DirectToken } from "../direct-token.js";
import { HttpConnection } from "../http-connection.js";
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { serial } from "../load.js";
import { makePair } from "../request.js";
import { difference, median, paired, spreadOf } from "../statistics.js";
import { inTurns } from "../turns.js";
const GATEWAY = 'gateway';
const DIRECT = 'direct pkcs11js calls';
const BARE = 'bare node:https handler';
const alg = 'A256KW';
export const softhsmLatency = {
    name: 'softhsm-latency',
    title: 'A256KW wrap and unwrap on SoftHSM, one request at a time, against direct pkcs11js calls',
    async measure(bench) {
        const { laboratory, plan } = bench;
        const { dataKey } = laboratory;
        const hsm = await laboratory.softHsm();
        try {
            const env_1 = { stack: [], error: void 0, hasError: false };
            try {
                const gateway = __addDisposableResource(env_1, await laboratory.gateway({ hsm }), true);
                const bare = __addDisposableResource(env_1, await laboratory.bareServer('https'), true);
                const token = new DirectToken(hsm.token, keyNames.aes);
                const wrapped = token.wrap(dataKey);
                const calls = makePair({ pathPrefix: prefixes.hsm, key: keyNames.aes, alg }, dataKey, wrapped);
                const kwp = laboratory.wrapped('A256KWP');
                const [bareCall] = makePair({ pathPrefix: prefixes.software, key: keyNames.aes, alg: 'A256KWP' }, dataKey, kwp);
                for (const call of calls)
                    await untilRight(gateway, call);
                await untilRight(bare, bareCall);
                laboratory.moveHostsAway(gateway);
                const toGateway = await HttpConnection.open(gateway.target);
                const toBare = await HttpConnection.open(bare.target);
                const direct = async (count) => {
                    const times = [];
                    for (let made = 0; made < count; made += 1) {
                        const start = performance.now();
                        const result = made % 2 === 0 ? token.wrap(dataKey) : token.unwrap(wrapped);
                        times.push(performance.now() - start);
                        if (!result.equals(made % 2 === 0 ? wrapped : dataKey))
                            throw new Error('the token computed something else');
                    }
                    return times;
                };
                const contestants = [
                    { name: DIRECT, of: direct },
                    { name: GATEWAY, of: (count) => serial(toGateway, calls, count) },
                    { name: BARE, of: (count) => serial(toBare, [bareCall], count) },
                ];
                for (const { of } of contestants)
                    await of(plan.serialRequests);
                const results = await inTurns(bench, contestants.map(({ name, of }) => ({ name, turn: async () => median(await of(plan.serialRequests)) })));
                for (const connection of [toGateway, toBare])
                    connection.close();
                token.close();
                const values = (name) => results.get(name) ?? [];
                const added = paired(values(GATEWAY), values(DIRECT), difference);
                const withoutHttps = median(paired(added, values(BARE), difference));
                return {
                    checks: [
                        {
                            what: 'added to the direct calls at the median, HTTPS included',
                            relation: 'at most',
                            target: 0.4,
                            unit: 'ms',
                            measured: spreadOf(added),
                        },
                    ],
                    series: [DIRECT, GATEWAY, BARE].map((what) => ({ what, unit: 'ms at the median', values: values(what) })),
                    notes: [
                        'What is added is the whole way: the request over mTLS and its reply, the gateway, the channel to the HSM host. ' +
                            `Without what the same request costs at a bare node:https handler, ${withoutHttps.toFixed(2)} ms are added.`,
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
