import 'reflect-metadata';
import { webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { Trust } from "../../src/tls/trust.js";
import { issue, makeClient } from "../support/pki.js";
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const parse = ({ certificate }) => new X509Certificate(certificate);
let rootA;
let rootB;
let trust;
beforeAll(async () => {
    rootA = await issue({ commonName: 'root A', usage: 'authority' });
    rootB = await issue({ commonName: 'root B', usage: 'authority' });
    trust = new Trust([rootA, rootB].map((root) => ({ roots: [parse(root)], intermediates: [] })));
});
/** Claims to be issued by `issuer` and is not: no key identifier gives it away, only the signature. */
async function forge(subject, issuer, ca) {
    const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const forger = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
        subject,
        issuer,
        notBefore: new Date(Date.now() - 1000),
        notAfter: new Date(Date.now() + 60_000),
        publicKey: keys.publicKey,
        signingKey: forger.privateKey,
        signingAlgorithm: ECDSA,
        extensions: [new x509.BasicConstraintsExtension(ca, undefined, true)],
    });
    return { certificate: certificate.toString('pem'), key: '', issuer: { name: subject, keys } };
}
describe('the roots of a certificate', () => {
    it('are those that signed it, directly or through a CA that came with it', async () => {
        const issuing = await issue({ commonName: 'issuing', usage: 'authority' }, rootA);
        const leaf = await makeClient(issuing);
        const fingerprint = parse(rootA).fingerprint256;
        expect(trust.rootsOf(parse(await makeClient(rootA)), [])).toEqual(new Set([fingerprint]));
        expect(trust.rootsOf(parse(leaf), [parse(issuing)])).toEqual(new Set([fingerprint]));
        // From then on it is known.
        expect(trust.rootsOf(parse(await makeClient(issuing)), [])).toEqual(new Set([fingerprint]));
    });
    it('are not those that it only names', async () => {
        const leaf = await forge('CN=client', 'CN=root A', false);
        expect(parse(leaf).checkIssued(parse(rootA))).toBe(true);
        expect(trust.rootsOf(parse(leaf), [])).toEqual(new Set());
        const issuing = await forge('CN=forged CA', 'CN=root A', true);
        expect(trust.rootsOf(parse(await makeClient(issuing)), [parse(issuing)])).toEqual(new Set());
    });
    it('are not reached through a certificate that is no CA', async () => {
        const client = await makeClient(rootA);
        const leaf = await makeClient(client, { commonName: 'below a client' });
        expect(parse(leaf).verify(parse(client).publicKey)).toBe(true);
        expect(trust.rootsOf(parse(leaf), [parse(client)])).toEqual(new Set());
    });
    it('are all of them, where a CA is certified by both', async () => {
        const issuing = await issue({ commonName: 'cross', usage: 'authority' }, rootA);
        const crossed = await x509.X509CertificateGenerator.create({
            subject: issuing.issuer.name,
            issuer: rootB.issuer.name,
            notBefore: new Date(Date.now() - 1000),
            notAfter: new Date(Date.now() + 60_000),
            publicKey: issuing.issuer.keys.publicKey,
            signingKey: rootB.issuer.keys.privateKey,
            signingAlgorithm: ECDSA,
            extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
        });
        const sent = [parse(issuing), new X509Certificate(crossed.toString('pem'))];
        const both = new Set([parse(rootA).fingerprint256, parse(rootB).fingerprint256]);
        expect(trust.rootsOf(parse(await makeClient(issuing)), sent)).toEqual(both);
    });
    it('need not be found where every entry trusts the same', async () => {
        const same = { roots: [parse(rootA), parse(rootB)], intermediates: [] };
        const hidden = await makeClient(await issue({ commonName: 'hidden', usage: 'authority' }, rootA));
        expect(new Trust([same, same]).rootsOf(parse(hidden), []).size).toBe(2);
    });
    it('are bound to the session context', () => {
        const [a, b] = [rootA, rootB].map((root) => ({ roots: [parse(root)], intermediates: [] }));
        if (a === undefined || b === undefined)
            throw new Error('unreachable');
        const context = (...entries) => new Trust(entries).sessionContext;
        expect(context(a, b)).toBe(context(b, a));
        expect(context(a)).not.toBe(context(a, b));
        expect(Buffer.byteLength(context(a, b))).toBeLessThanOrEqual(32);
    });
});
