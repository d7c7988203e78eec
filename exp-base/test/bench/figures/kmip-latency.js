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
import { Secret } from "../../../adapters/contract/index.js";
import { crypt, keyWrap } from "../../../adapters/kmip/protocol/crypt.js";
import { encodeRequest } from "../../../adapters/kmip/protocol/message.js";
import { Connection } from "../../../adapters/kmip/transport/connection.js";
import { tlsOptions } from "../../../adapters/kmip/transport/tls.js";
import { HttpConnection } from "../http-connection.js";
import { keyNames, prefixes, untilRight } from "../laboratory.js";
import { serial } from "../load.js";
import { makePair } from "../request.js";
import { difference, median, paired, spreadOf } from "../statistics.js";
import { inTurns } from "../turns.js";
const GATEWAY = 'gateway';
const EXCHANGE = 'bare TTLV exchange';
const alg = 'A256KW';
export const kmipLatency = {
    name: 'kmip-latency',
    title: 'A256KW wrap by a KMIP server, one request at a time, against the bare TTLV exchange',
    async measure(bench) {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const { laboratory, plan } = bench;
            const { dataKey } = laboratory;
            const kmip = __addDisposableResource(env_1, await laboratory.kmipServer(), true);
            const gateway = __addDisposableResource(env_1, await laboratory.gateway({ kmip }), true);
            const where = { pathPrefix: prefixes.kmip, key: keyNames.aes, alg };
            const [call] = makePair(where, dataKey, laboratory.wrapped(alg));
            await untilRight(gateway, call);
            const connection = await HttpConnection.open(gateway.target);
            const toServer = await connectTo(kmip);
            const request = encodeRequest([crypt('encrypt', kmip.keyId, keyWrap('NISTKeyWrap'), dataKey)], '2.1', 1, undefined);
            const never = new AbortController().signal;
            const exchange = async (count) => {
                const times = [];
                for (let made = 0; made < count; made += 1) {
                    const start = performance.now();
                    const reply = await toServer.exchange(Uint8Array.from(request), never);
                    times.push(performance.now() - start);
                    if (!Buffer.from(reply).includes(laboratory.wrapped(alg)))
                        throw new Error('the server wrapped something else');
                }
                return times;
            };
            const contestants = [
                { name: EXCHANGE, of: exchange },
                { name: GATEWAY, of: (count) => serial(connection, [call], count) },
            ];
            for (const { of } of contestants)
                await of(plan.serialRequests);
            const results = await inTurns(bench, contestants.map(({ name, of }) => ({ name, turn: async () => median(await of(plan.serialRequests)) })));
            connection.close();
            toServer.close();
            const values = (name) => results.get(name) ?? [];
            return {
                checks: [
                    {
                        what: 'added to the bare exchange at the median, HTTPS included',
                        relation: 'at most',
                        target: 0.5,
                        unit: 'ms',
                        measured: spreadOf(paired(values(GATEWAY), values(EXCHANGE), difference)),
                    },
                ],
                series: [EXCHANGE, GATEWAY].map((what) => ({ what, unit: 'ms at the median', values: values(what) })),
                notes: [
                    'The server is that of the KMIP tests, in a process of its own on the core of the load generator; it wraps by itself (NISTKeyWrap, KMIP 2.1).',
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
function connectTo({ port, serverCa, client }) {
    const server = { host: '127.0.0.1', port };
    const tls = {
        ca: Buffer.from(serverCa),
        certificate: Buffer.from(client.certificate),
        key: new Secret(Buffer.from(client.key)),
    };
    return Connection.open(tlsOptions(server, { servers: [server], tls }), 2000, () => undefined);
}
