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
import { randomBytes } from 'node:crypto';
import { oaepWrap } from "../../contract/reference.js";
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { openConnections, openLoop } from "../load.js";
import { makeCall, makePair } from "../request.js";
import { difference, paired, quantile, spreadOf } from "../statistics.js";
import { column, inTurns } from "../turns.js";
const AES_RATE = 500;
const RSA_RATE = 50;
const AES_CONNECTIONS = 32;
const RSA_CONNECTIONS = 8;
const ALONE = 'AES alone';
const BESIDE = 'AES beside RSA';
export const rsa = {
    name: 'rsa',
    title: `${RSA_RATE} RSA-4096 unwraps/s beside ${AES_RATE} A256KWP wraps and unwraps/s, software store`,
    async measure(bench) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const { laboratory, plan } = bench;
            const gateway = __addDisposableResource(env_1, await laboratory.gateway(), true);
            const alg = 'A256KWP';
            const aes = makePair({ pathPrefix: prefixes.software, key: keyNames.aes, alg }, laboratory.dataKey, laboratory.wrapped(alg));
            const secret = randomBytes(32);
            const unwrap = makeCall({
                pathPrefix: prefixes.software,
                key: keyNames.rsa,
                operation: 'unwrapkey',
                alg: 'RSA-OAEP-256',
                value: oaepWrap(await laboratory.rsa(), 'sha256', secret),
                result: secret,
            });
            for (const call of [...aes, unwrap])
                await untilRight(gateway, call);
            const aesConnections = await openConnections(gateway.target, AES_CONNECTIONS);
            const rsaConnections = await openConnections(gateway.target, RSA_CONNECTIONS);
            // Longer than other turns: a 99th percentile needs many requests.
            const seconds = 2 * plan.seconds;
            const run = async (rsaRate) => {
                const [ours, theirs] = await Promise.all([
                    openLoop({ connections: aesConnections, calls: aes, rate: AES_RATE }, seconds),
                    openLoop({ connections: rsaConnections, calls: [unwrap], rate: rsaRate }, seconds),
                ]);
                const failed = [ours, theirs].flatMap(({ failures }) => Object.values(failures));
                return { p99: quantile(ours.times, 0.99), failed: failed.reduce((sum, count) => sum + count, 0) };
            };
            await run(RSA_RATE);
            const results = await inTurns(bench, [
                { name: ALONE, turn: () => run(0) },
                { name: BESIDE, turn: () => run(RSA_RATE) },
            ]);
            for (const connection of [...aesConnections, ...rsaConnections])
                connection.close();
            const values = (name) => column(results, name, 'p99');
            const failed = [ALONE, BESIDE].flatMap((name) => column(results, name, 'failed'));
            return {
                checks: [
                    {
                        what: '99th percentile of the AES requests rises by',
                        relation: 'at most',
                        target: 5,
                        unit: 'ms',
                        measured: spreadOf(paired(values(BESIDE), values(ALONE), difference)),
                    },
                    {
                        what: 'failed requests of both kinds',
                        relation: 'at most',
                        target: 0,
                        unit: 'of',
                        measured: spreadOf([failed.reduce((sum, count) => sum + count, 0)]),
                    },
                ],
                series: [ALONE, BESIDE].map((what) => ({ what, unit: 'ms at the 99th percentile', values: values(what) })),
                notes: [`Open loop, ${seconds} s a turn; the private operations share the gateway's one core.`],
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
