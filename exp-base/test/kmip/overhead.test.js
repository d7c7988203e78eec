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
import { expect, it } from 'vitest';
import { crypt, keyWrap } from "../../adapters/kmip/protocol/crypt.js";
import { encodeRequest } from "../../adapters/kmip/protocol/message.js";
import { Connection } from "../../adapters/kmip/transport/connection.js";
import { tlsOptions } from "../../adapters/kmip/transport/tls.js";
import { callContext } from "../contract/suite.js";
import { kmipFixture, ref } from "./kmip-fixture.js";
const ROUNDS = 400;
const ALLOWED_MS = 0.3;
const median = (times) => times.sort((a, b) => a - b)[times.length >> 1] ?? Infinity;
async function timed(work) {
    const start = performance.now();
    await work();
    return performance.now() - start;
}
it('a wrap by the server’s own mode adds little to the bare exchange of its bytes', { timeout: 60_000 }, async () => {
    const env_1 = { stack: [], error: void 0, hasError: false };
    try {
        const fixture = __addDisposableResource(env_1, await kmipFixture({}, { connections: 1 }), true);
        const { adapter, options, aesId } = fixture;
        const [server] = options.servers;
        if (server === undefined)
            throw new Error('no server');
        const dek = randomBytes(32);
        const request = encodeRequest([crypt('encrypt', aesId, keyWrap('NISTKeyWrap'), dek)], '2.1', 1, undefined);
        const connection = await Connection.open(tlsOptions(server, options), 2000, () => undefined);
        const never = new AbortController().signal;
        const bare = [];
        const whole = [];
        // In turns, so that a machine that is busy is busy for both.
        for (let round = 0; round < 2 * ROUNDS; round++) {
            const exchange = await timed(() => connection.exchange(Uint8Array.from(request), never));
            const wrap = await timed(() => adapter.wrap(ref('aes'), 'A256KW', dek, callContext(never)));
            if (round < ROUNDS)
                continue;
            bare.push(exchange);
            whole.push(wrap);
        }
        connection.close();
        const added = median(whole) - median(bare);
        process.stdout.write(`bare ${median(bare).toFixed(3)} ms, wrap ${median(whole).toFixed(3)} ms, added ${added.toFixed(3)} ms\n`);
        expect(added).toBeLessThan(ALLOWED_MS);
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
});
