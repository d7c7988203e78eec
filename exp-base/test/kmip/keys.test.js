import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attribute } from "../../adapters/kmip/protocol/attributes.js";
import { operation, tag } from "../../adapters/kmip/protocol/numbers.js";
import { aes256, kw } from "../contract/reference.js";
import { callContext, rejection } from "../contract/suite.js";
import { rsaKey } from "../contract/rsa-keys.js";
import { kmipFixture, ref } from "./kmip-fixture.js";
import { activateIfNeeded, registerAes, registerRsa, revoke } from "./register.js";
const dek = randomBytes(32);
const HOUR_MS = 3_600_000;
const anHourAgo = new Date(Date.now() - HOUR_MS);
const inAnHour = new Date(Date.now() + HOUR_MS);
const date = (dateTag, value) => ({
    tag: dateTag,
    type: 'DateTime',
    value: BigInt(Math.floor(value.getTime() / 1000)),
});
let fixture;
let cluster;
beforeAll(async () => {
    fixture = await kmipFixture({
        links: false,
        reasons: { ...(await import("./server/behaviour.js")).cosmianLike.reasons },
    });
    cluster = fixture.cluster();
});
afterAll(async () => {
    cluster.close();
    await fixture[Symbol.asyncDispose]();
});
const codeOf = async (call) => call.then(() => 'done', async () => (await rejection(call)).code);
async function uses(name) {
    const { adapter, kek } = fixture;
    return {
        describe: await codeOf(adapter.describe(ref(name), callContext())),
        wrap: await codeOf(adapter.wrap(ref(name), 'A256KW', dek, callContext())),
        unwrap: await codeOf(adapter.unwrap(ref(name), 'A256KW', kw(aes256(kek), dek), callContext())),
    };
}
const register = (name, attributes = [], usageMask) => registerAes(cluster, fixture.kek, { name, attributes, ...(usageMask !== undefined && { usageMask }) });
async function active(name, attributes = [], usageMask) {
    const id = await register(name, attributes, usageMask);
    await activateIfNeeded(cluster, id);
    return id;
}
const revoked = async (name, reason) => cluster.call(revoke(await active(name), reason), AbortSignal.timeout(5000));
const all = (code) => ({ describe: code, wrap: code, unwrap: code });
const unwrapOnly = { describe: 'done', wrap: 'KEY_DISABLED', unwrap: 'done' };
describe('a key', () => {
    it.each([
        { name: 'active', make: () => active('active'), ...all('done') },
        { name: 'pre-active', make: () => register('pre-active'), ...all('KEY_DISABLED') },
        { name: 'compromised', make: () => revoked('compromised', 2), ...all('KEY_DISABLED') },
        { name: 'deactivated', make: () => revoked('deactivated', 1), ...unwrapOnly },
        {
            name: 'before-activation',
            make: () => register('before-activation', [attribute.activationDate(inAnHour)]),
            ...all('KEY_DISABLED'),
        },
        {
            name: 'after-deactivation',
            make: () => active('after-deactivation', [attribute.deactivationDate(anHourAgo)]),
            ...unwrapOnly,
        },
        {
            name: 'after-protect-stop',
            make: () => active('after-protect-stop', [date(tag.ProtectStopDate, anHourAgo)]),
            ...unwrapOnly,
        },
        {
            name: 'before-process-start',
            make: () => active('before-process-start', [date(tag.ProcessStartDate, inAnHour)]),
            describe: 'done',
            wrap: 'done',
            unwrap: 'KEY_DISABLED',
        },
        {
            name: 'may-not-encrypt',
            make: () => active('may-not-encrypt', [], 0x08),
            describe: 'done',
            wrap: 'OPERATION_FORBIDDEN',
            unwrap: 'done',
        },
        {
            name: 'may-not-decrypt',
            make: () => active('may-not-decrypt', [], 0x04),
            describe: 'done',
            wrap: 'OPERATION_FORBIDDEN',
            unwrap: 'OPERATION_FORBIDDEN',
        },
        {
            name: 'may-wrap-only-in-name',
            make: () => active('may-wrap-only-in-name', [], 0x30),
            describe: 'done',
            wrap: 'OPERATION_FORBIDDEN',
            unwrap: 'OPERATION_FORBIDDEN',
        },
    ])('that is $name', async ({ name, make, ...expected }) => {
        await make();
        expect(await uses(name)).toEqual(expected);
    });
    it('of 128 bits is not supported', async () => {
        const id = await registerAes(cluster, randomBytes(16), { name: 'aes-128' });
        await activateIfNeeded(cluster, id);
        expect(await codeOf(fixture.adapter.describe(ref('aes-128'), callContext()))).toBe('KEY_UNSUPPORTED');
    });
    it('that is disabled on the server stops at once, whatever was believed of it', async () => {
        const id = await active('to-be-revoked');
        expect((await uses('to-be-revoked')).wrap).toBe('done');
        await cluster.call(revoke(id, 2), AbortSignal.timeout(5000));
        const { adapter } = fixture;
        expect(await codeOf(adapter.wrap(ref('to-be-revoked'), 'A256KW', dek, callContext()))).toBe('KEY_DISABLED');
    });
    it('that is compromised unwraps no more after two seconds, on a server that goes on decrypting with it', async () => {
        const id = await active('to-be-compromised');
        expect((await uses('to-be-compromised')).unwrap).toBe('done');
        await cluster.call(revoke(id, 2), AbortSignal.timeout(5000));
        await new Promise((resolve) => setTimeout(resolve, 2100));
        expect((await uses('to-be-compromised')).unwrap).toBe('KEY_DISABLED');
    });
    it('that is destroyed and made anew under its name is found again', async () => {
        const id = await active('reborn');
        expect((await uses('reborn')).wrap).toBe('done');
        fixture.server.operations.store.remove(id);
        expect(await codeOf(fixture.adapter.wrap(ref('reborn'), 'A256KW', dek, callContext()))).toBe('KEY_NOT_FOUND');
        await active('reborn');
        expect((await uses('reborn')).wrap).toBe('done');
    });
});
describe('a reference', () => {
    it('can be an identifier, and is one only where it says so', async () => {
        const id = await active('by-id');
        const { adapter } = fixture;
        expect(await adapter.describe(ref(`kmip:id=${id}`), callContext())).toEqual({ kty: 'oct', bits: 256 });
        expect(await codeOf(adapter.describe(ref(id), callContext()))).toBe('KEY_NOT_FOUND');
        expect(await adapter.describe(ref('kmip:name=by-id'), callContext())).toEqual({ kty: 'oct', bits: 256 });
    });
    it('that two keys share is refused, of one type or of two', async () => {
        await active('twice');
        await active('twice');
        expect(await codeOf(fixture.adapter.describe(ref('twice'), callContext()))).toBe('KEY_UNSUPPORTED');
        await active('both-types');
        await registerRsa(cluster, await rsaKey(2048), { name: 'both-types' });
        expect(await codeOf(fixture.adapter.describe(ref('both-types'), callContext()))).toBe('KEY_UNSUPPORTED');
    });
    it.each([
        'kmip:',
        'kmip:id=',
        'kmip:id',
        'kmip:id=1;id=2',
        'kmip:id=1;name=a',
        'kmip:pin=1',
        'kmip:public-id=1',
        'kmip:id=%zz',
        'kmip:id=1;public-id=1;public-name=a',
    ])('%s cannot be read', async (text) => {
        expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED');
    });
    it('decodes what was encoded', async () => {
        await active('a;b=c d');
        expect(await fixture.adapter.describe(ref('kmip:name=a%3Bb%3Dc%20d'), callContext())).toEqual({
            kty: 'oct',
            bits: 256,
        });
    });
});
describe('the public half of an RSA key', () => {
    it('is found as configured, by identifier or name', async () => {
        const jwk = await rsaKey(2048);
        const { privateKeyId } = await registerRsa(cluster, jwk, { name: 'pair-1' });
        const { publicKeyId } = await registerRsa(cluster, jwk, { name: 'pair-2' });
        await activateIfNeeded(cluster, privateKeyId);
        for (const text of [
            `kmip:id=${privateKeyId};public-id=${publicKeyId}`,
            `kmip:id=${privateKeyId};public-name=pair-2`,
            `kmip:id=${privateKeyId}`,
            'pair-1',
        ]) {
            const description = await fixture.adapter.describe(ref(text), callContext());
            expect(description.kty, text).toBe('RSA');
        }
    });
    it('that is missing, or another key, is said to be', async () => {
        const { privateKeyId, publicKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'lone' });
        await activateIfNeeded(cluster, privateKeyId);
        fixture.server.operations.store.remove(publicKeyId);
        expect(await codeOf(fixture.adapter.describe(ref('lone'), callContext()))).toBe('KEY_UNSUPPORTED');
        const other = await registerRsa(cluster, await rsaKey(3072), { name: 'larger' });
        const text = `kmip:name=lone;public-id=${other.publicKeyId}`;
        expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED');
    });
    it('is never fetched before it is known to be public: a wrong identifier brings no secret here', async () => {
        const secretId = await active('secret');
        const { privateKeyId } = await registerRsa(cluster, await rsaKey(2048), { name: 'misconfigured' });
        await activateIfNeeded(cluster, privateKeyId);
        const { received } = fixture.server;
        const before = received.length;
        for (const id of [secretId, privateKeyId]) {
            const text = `kmip:name=misconfigured;public-id=${id}`;
            expect(await codeOf(fixture.adapter.describe(ref(text), callContext()))).toBe('KEY_UNSUPPORTED');
        }
        expect(received.slice(before)).not.toContain(operation.Get);
    });
});
it('a description of an AES key asks for attributes only', async () => {
    await active('described');
    const before = fixture.server.received.length;
    await fixture.adapter.describe(ref('described'), callContext());
    // What is still under way for the keys of other tests only encrypts and decrypts.
    const others = [operation.Encrypt, operation.Decrypt];
    const received = fixture.server.received.slice(before).filter((code) => !others.includes(code));
    expect(received).toEqual([operation.Locate, operation.GetAttributes]);
});
