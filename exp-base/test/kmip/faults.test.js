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
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { operation } from "../../adapters/kmip/protocol/numbers.js";
import { aes256, kw, oaepWrap } from "../contract/reference.js";
import { rejection } from "../contract/suite.js";
import { rsaKey } from "../contract/rsa-keys.js";
import { kmipFixture, ref, within } from "./kmip-fixture.js";
import { faultKinds } from "./server/faults.js";
const dek = randomBytes(32);
const DEADLINE_MS = 250;
/** What each fault is to a caller, and whether the connection is worth keeping after it. */
const expected = {
    slow: { code: 'none', keeps: true },
    hang: { code: 'DEADLINE_EXCEEDED', keeps: false },
    close: { code: 'BACKEND_UNAVAILABLE', keeps: false },
    reset: { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'reset mid-reply': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'half a frame': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    garbage: { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'oversized length': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'truncated inside': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'padding not zero': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'wrong batch id': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'wrong operation': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'wrong object': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'wrong batch count': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    // A message of one item has no order.
    'replies reordered': { code: 'none', keeps: true },
    // The first of the two is right, and the second shows that the connection is not.
    'two replies': { code: 'none', keeps: false },
    pending: { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'failure without reason': { code: 'BACKEND_UNAVAILABLE', keeps: false },
    'refused: general failure': { code: 'BACKEND_UNAVAILABLE', keeps: true },
    'refused: limit exceeded': { code: 'BACKEND_BUSY', keeps: true },
};
let rsaWrapped;
const probed = 'BACKEND_UNAVAILABLE';
const uses = [
    {
        name: 'wrap',
        operation: operation.Encrypt,
        run: ({ adapter }, context) => adapter.wrap(ref('aes'), 'A256KW', dek, context),
    },
    {
        name: 'unwrap',
        operation: operation.Decrypt,
        run: ({ adapter, kek }, context) => adapter.unwrap(ref('aes'), 'A256KW', kw(aes256(kek), dek), context),
    },
    {
        name: 'RSA unwrap',
        operation: operation.Decrypt,
        run: ({ adapter }, context) => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, context),
    },
    {
        name: 'probe',
        operation: operation.DiscoverVersions,
        run: ({ adapter }, context) => adapter.probe(context),
        differs: {
            'wrong object': { code: 'none', keeps: true },
            'refused: limit exceeded': { code: probed, keeps: true },
        },
    },
];
describe.each(uses)('faults during $name', ({ operation: code, run, differs }) => {
    let fixture;
    beforeAll(async () => {
        rsaWrapped = oaepWrap(await rsaKey(2048), 'sha256', dek);
        fixture = await kmipFixture({}, { connections: 1 });
        // Everything is found out beforehand, so that the fault hits this one operation.
        for (const algorithm of ['A256KW', 'A256KWP'])
            await fixture.adapter.wrap(ref('aes'), algorithm, dek, within(5000));
        await fixture.adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', rsaWrapped, within(5000));
    });
    afterAll(() => fixture[Symbol.asyncDispose]());
    beforeEach(async () => {
        fixture.server.fault = undefined;
        // Also after three failures in a row, when the server was left alone for a moment.
        await expect.poll(() => run(fixture, within(1000)).then(() => 'well', String), { timeout: 10_000 }).toBe('well');
    });
    it.each(faultKinds)('%s', async (kind) => {
        const { code: wanted, keeps } = differs?.[kind] ?? expected[kind];
        const accepted = fixture.server.accepted;
        const asked = () => fixture.server.received.filter((received) => received === code).length;
        const before = asked();
        fixture.server.fault = { kind, operation: code };
        const start = performance.now();
        const outcome = run(fixture, within(DEADLINE_MS));
        if (wanted === 'none')
            await outcome;
        else
            expect((await rejection(outcome)).code).toBe(wanted);
        expect(performance.now() - start).toBeLessThan(DEADLINE_MS + 150);
        // It stops as soon as the fault does, on the same connection or on another.
        const sent = asked() - before;
        fixture.server.fault = undefined;
        if (!keeps)
            await sleep(5);
        await run(fixture, within(2000));
        expect(fixture.server.accepted - accepted).toBe(keeps ? 0 : kind === 'close' || kind === 'reset' ? sent : 1);
    });
});
describe('a fault', () => {
    it('in one item of a batch concerns the whole message: replies reordered', async () => {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_1, await kmipFixture(), true);
            fixture.server.fault = { kind: 'replies reordered', operation: operation.Locate };
            expect((await rejection(fixture.adapter.describe(ref('aes'), within(1000)))).code).toBe('BACKEND_UNAVAILABLE');
            fixture.server.fault = undefined;
            expect(await fixture.adapter.describe(ref('aes'), within(1000))).toEqual({ kty: 'oct', bits: 256 });
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
    it('of each kind while a key is described leaves nothing behind', { timeout: 60_000 }, async () => {
        const env_2 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_2, await kmipFixture(), true);
            for (const kind of faultKinds) {
                for (const asked of [operation.Locate, operation.GetAttributes]) {
                    fixture.server.fault = { kind, operation: asked };
                    const outcome = await fixture.adapter.describe(ref('aes'), within(DEADLINE_MS)).catch((error) => error);
                    fixture.server.fault = undefined;
                    expect(outcome, kind).not.toBeInstanceOf(TypeError);
                    await expect
                        .poll(() => fixture.adapter.describe(ref('aes'), within(6000)).then(({ kty }) => kty, String), {
                        timeout: 15_000,
                    })
                        .toBe('oct');
                    await sleep(0);
                }
            }
        }
        catch (e_2) {
            env_2.error = e_2;
            env_2.hasError = true;
        }
        finally {
            const result_2 = __disposeResources(env_2);
            if (result_2)
                await result_2;
        }
    });
});
