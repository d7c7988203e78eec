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
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { operation, resultReason } from "../../adapters/kmip/protocol/numbers.js";
import { aes256, kw, kwp, oaepWrap } from "../contract/reference.js";
import { callContext, rejection } from "../contract/suite.js";
import { rsaKey } from "../contract/rsa-keys.js";
import { kmipFixture, ref } from "./kmip-fixture.js";
import { cosmianLike } from "./server/behaviour.js";
const dek = randomBytes(32);
const reference = { A256KW: kw, A256KWP: kwp };
/** What `kmip_way` reported for each algorithm. */
const waysOf = ({ reports }) => Object.fromEntries(reports.all.flatMap(({ event, fields }) => (event === 'kmip_way' ? [[fields['algorithm'], fields['way']]] : [])));
async function tryAll({ adapter }) {
    const outcome = (key, algorithm) => adapter.wrap(ref(key), algorithm, dek, callContext()).catch(() => undefined);
    for (const algorithm of ['A256KW', 'A256KWP'])
        await outcome('aes', algorithm);
    for (const algorithm of ['RSA-OAEP', 'RSA-OAEP-256'])
        await outcome('rsa', algorithm);
}
describe('the way that is chosen', () => {
    it.each([
        {
            what: 'native where it is right',
            behaviour: {},
            ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
        {
            what: 'composed where the native mode does something else',
            behaviour: { keyWrap: 'swapped' },
            ways: { A256KW: 'composed', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
        {
            what: 'composed where there is no native mode',
            behaviour: { keyWrap: 'none', ecb: 'PKCS5' },
            ways: { A256KW: 'composed', A256KWP: 'composed', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
        {
            what: 'none where a native mode cannot be checked',
            behaviour: { ecb: 'none' },
            ways: { A256KW: 'none', A256KWP: 'none', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
        {
            what: 'none where only the key itself can be had, and that is not allowed',
            behaviour: { ecb: 'none', keyWrap: 'none', oaep: false, exports: true },
            ways: { A256KW: 'none', A256KWP: 'none', 'RSA-OAEP': 'none', 'RSA-OAEP-256': 'none' },
        },
        {
            what: 'exported only where that is allowed',
            behaviour: { ecb: 'none', keyWrap: 'none', oaep: false, exports: true },
            options: { keyAccess: 'export' },
            ways: { A256KW: 'exported', A256KWP: 'exported', 'RSA-OAEP': 'exported', 'RSA-OAEP-256': 'exported' },
        },
        {
            what: 'not exported, though allowed, where there is another',
            behaviour: { exports: true },
            options: { keyAccess: 'export' },
            ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
        {
            what: 'none for a hash of MGF1 that cannot be stated and is another',
            behaviour: { versions: ['1.3'], defaultMgfHash: 4 },
            ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'none' },
        },
        {
            what: 'native from 1.4 on, where it can be stated',
            behaviour: { versions: ['1.4'], defaultMgfHash: 4 },
            ways: { A256KW: 'native', A256KWP: 'native', 'RSA-OAEP': 'native', 'RSA-OAEP-256': 'native' },
        },
    ])('$what', async ({ behaviour, options = {}, ways }) => {
        const env_1 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_1, await kmipFixture(behaviour, options), true);
            await tryAll(fixture);
            expect(waysOf(fixture)).toEqual(ways);
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
    it('fetches no key that it has another way for, nor one that it may not have', async () => {
        for (const options of [{}, { keyAccess: 'export' }]) {
            const env_2 = { stack: [], error: void 0, hasError: false };
            try {
                const fixture = __addDisposableResource(env_2, await kmipFixture({ exports: true }, options), true);
                await tryAll(fixture);
                // The one Get is of the public key.
                expect(fixture.server.received.filter((code) => code === operation.Get)).toHaveLength(1);
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
        }
    });
    it('is said loudly when keys are exported', async () => {
        const env_3 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_3, await kmipFixture({ ecb: 'none', exports: true }, { keyAccess: 'export' }), true);
            await tryAll(fixture);
            const loud = fixture.reports.all.filter(({ level }) => level === 'warn').map(({ event }) => event);
            expect(loud).toEqual(expect.arrayContaining(['kmip_keys_exported', 'kmip_way']));
        }
        catch (e_3) {
            env_3.error = e_3;
            env_3.hasError = true;
        }
        finally {
            const result_3 = __disposeResources(env_3);
            if (result_3)
                await result_3;
        }
    });
    it('is one round trip for a native mode', async () => {
        const env_4 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_4, await kmipFixture(), true);
            await tryAll(fixture);
            const before = fixture.server.received.length;
            const wrapped = await fixture.adapter.wrap(ref('aes'), 'A256KW', dek, callContext());
            await fixture.adapter.unwrap(ref('aes'), 'A256KW', wrapped, callContext());
            expect(fixture.server.received.slice(before)).toEqual([operation.Encrypt, operation.Decrypt]);
        }
        catch (e_4) {
            env_4.error = e_4;
            env_4.hasError = true;
        }
        finally {
            const result_4 = __disposeResources(env_4);
            if (result_4)
                await result_4;
        }
    });
});
describe('a server that takes data which begins with 87 87 for a list', () => {
    /** Data that the server reads as a list: nothing in it, or values of these lengths, and whatever follows. */
    const lists = [
        Buffer.concat([Buffer.of(0x87, 0x87, 0), randomBytes(29)]),
        Buffer.concat([Buffer.of(0x87, 0x87, 1, 16), randomBytes(28)]),
        Buffer.concat([Buffer.of(0x87, 0x87, 1, 28), randomBytes(28)]),
        Buffer.concat([Buffer.of(0x87, 0x87, 5, 1, 1, 5, 2, 2, 5, 3, 3, 5, 4, 4, 5, 5), randomBytes(16)]),
        Buffer.concat([Buffer.of(0x87, 0x87, 0xff), randomBytes(29)]),
    ];
    it.each(['A256KW', 'A256KWP'])('%s wraps and unwraps it rightly all the same', async (algorithm) => {
        for (const keyWrap of ['right', 'none']) {
            const env_5 = { stack: [], error: void 0, hasError: false };
            try {
                const fixture = __addDisposableResource(env_5, await kmipFixture({ keyWrap }), true);
                const { adapter, kek } = fixture;
                for (const data of lists) {
                    const wrapped = await adapter.wrap(ref('aes'), algorithm, data, callContext());
                    expect(Buffer.compare(wrapped, reference[algorithm](aes256(kek), data))).toBe(0);
                    expect(Buffer.compare(await adapter.unwrap(ref('aes'), algorithm, wrapped, callContext()), data)).toBe(0);
                }
            }
            catch (e_5) {
                env_5.error = e_5;
                env_5.hasError = true;
            }
            finally {
                const result_5 = __disposeResources(env_5);
                if (result_5)
                    await result_5;
            }
        }
    });
    it('never gets such a value for RSA from here, and what it makes of one is not returned', async () => {
        const env_6 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_6, await kmipFixture(), true);
            const { adapter } = fixture;
            const forged = Buffer.concat([Buffer.of(0x87, 0x87, 0), randomBytes(253)]);
            const error = await rejection(adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', forged, callContext()));
            expect(error.code).toBe('BACKEND_UNAVAILABLE');
        }
        catch (e_6) {
            env_6.error = e_6;
            env_6.hasError = true;
        }
        finally {
            const result_6 = __disposeResources(env_6);
            if (result_6)
                await result_6;
        }
    });
    it('and a value for such a list among the blocks changes nothing', async () => {
        const env_7 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_7, await kmipFixture({ keyWrap: 'none' }), true);
            const { adapter } = fixture;
            const forged = Buffer.concat([Buffer.alloc(8, 1), Buffer.alloc(24), Buffer.of(0x87, 0x87, 0, 0, 0, 0, 0, 0)]);
            for (const value of [forged, Buffer.concat([Buffer.of(0x87, 0x87, 13), Buffer.alloc(37)])]) {
                expect((await rejection(adapter.unwrap(ref('aes'), 'A256KW', value, callContext()))).code).toBe('CIPHERTEXT_INVALID');
            }
        }
        catch (e_7) {
            env_7.error = e_7;
            env_7.hasError = true;
        }
        finally {
            const result_7 = __disposeResources(env_7);
            if (result_7)
                await result_7;
        }
    });
});
describe('a key that was replaced under its identifier', () => {
    it('is noticed by composed wrapping, and what it gives is not returned', async () => {
        const env_8 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_8, await kmipFixture({ keyWrap: 'none' }), true);
            const { adapter, server, aesId } = fixture;
            await adapter.wrap(ref('aes'), 'A256KW', dek, callContext());
            server.operations.store.find(aesId)?.material.fill(7);
            expect((await rejection(adapter.wrap(ref('aes'), 'A256KW', dek, callContext()))).code).toBe('BACKEND_UNAVAILABLE');
        }
        catch (e_8) {
            env_8.error = e_8;
            env_8.hasError = true;
        }
        finally {
            const result_8 = __disposeResources(env_8);
            if (result_8)
                await result_8;
        }
    });
});
describe('an unwrap that fails for an unclear reason', () => {
    it.each([resultReason.GeneralFailure, resultReason.InvalidField])('%i: a known answer tells whose fault it is', async (badCiphertext) => {
        const env_9 = { stack: [], error: void 0, hasError: false };
        try {
            const fixture = __addDisposableResource(env_9, await kmipFixture({ reasons: { ...cosmianLike.reasons, badCiphertext } }), true);
            const { adapter, server } = fixture;
            const bad = oaepWrap(await rsaKey(2048, 'other'), 'sha256', dek);
            const unwrap = () => adapter.unwrap(ref('rsa'), 'RSA-OAEP-256', bad, callContext());
            expect((await rejection(unwrap())).code).toBe('CIPHERTEXT_INVALID');
            expect((await rejection(adapter.unwrap(ref('aes'), 'A256KW', randomBytes(40), callContext()))).code).toBe('CIPHERTEXT_INVALID');
            server.fault = { kind: 'refused: general failure', operation: operation.Decrypt };
            expect((await rejection(unwrap())).code).toBe('BACKEND_UNAVAILABLE');
        }
        catch (e_9) {
            env_9.error = e_9;
            env_9.hasError = true;
        }
        finally {
            const result_9 = __disposeResources(env_9);
            if (result_9)
                await result_9;
        }
    });
});
it('many callers of composed wrapping share their round trips', async () => {
    const env_10 = { stack: [], error: void 0, hasError: false };
    try {
        const fixture = __addDisposableResource(env_10, await kmipFixture({ keyWrap: 'none' }), true);
        const { adapter, kek, server } = fixture;
        await adapter.wrap(ref('aes'), 'A256KW', dek, callContext());
        const before = server.received.length;
        const deks = Array.from({ length: 64 }, (_, index) => createHash('sha256').update(`${index}`).digest());
        const wrapped = await Promise.all(deks.map((data) => adapter.wrap(ref('aes'), 'A256KW', data, callContext())));
        wrapped.forEach((value, index) => {
            expect(Buffer.compare(value, kw(aes256(kek), deks[index] ?? Buffer.alloc(0)))).toBe(0);
        });
        // 24 steps for one, and a few more because not all begin with the first.
        expect(server.received.length - before).toBeLessThan(50);
    }
    catch (e_10) {
        env_10.error = e_10;
        env_10.hasError = true;
    }
    finally {
        const result_10 = __disposeResources(env_10);
        if (result_10)
            await result_10;
    }
});
