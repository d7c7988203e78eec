import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { isSelfIssued } from "../../config/clients.js";
export { isSelfIssued };
const DAY_MS = 86_400_000;
/** Microsoft suggests an alert for certificates within 30 days of their expiry. */
export const WARNING_DAYS = 30;
/** Whole days until `date`; negative after it. */
export const daysUntil = (date, now = new Date()) => Math.floor((date.getTime() - now.getTime()) / DAY_MS);
export const dayOf = (date) => date.toISOString().slice(0, 10);
/** A certificate's common name, or what there is instead. */
export function nameOf({ subject, fingerprint256 }) {
    const [, commonName] = /^CN=(.+)$/m.exec(subject ?? '') ?? [];
    return commonName ?? (subject ? subject.replaceAll('\n', ', ') : fingerprint256.slice(0, 23));
}
export const issuerNameOf = ({ issuer }) => /^CN=(.+)$/m.exec(issuer ?? '')?.[1] ?? (issuer ?? '').replaceAll('\n', ', ');
export const issued = (issuer, certificate) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
export function validityOf({ validFrom, validTo }, now = new Date()) {
    const [from, to] = [new Date(validFrom), new Date(validTo)];
    const daysLeft = daysUntil(to, now);
    if (now < from) {
        return { state: 'not yet', inWords: `not valid before ${from.toISOString()}; it is ${now.toISOString()}`, daysLeft };
    }
    if (now > to)
        return { state: 'ended', inWords: `ended on ${dayOf(to)}, ${-daysLeft} days ago`, daysLeft };
    const state = daysLeft < WARNING_DAYS ? 'ends soon' : 'valid';
    return { state, inWords: `valid until ${dayOf(to)}, ${daysLeft} days left`, daysLeft };
}
const MIN_RSA_BITS = 2048;
const usualCurves = ['prime256v1', 'secp384r1'];
export function strengthOf({ publicKey }) {
    const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: { modulusLength, namedCurve } = {} } = publicKey;
    if (modulusLength !== undefined && type.startsWith('rsa')) {
        const grade = modulusLength < MIN_RSA_BITS ? 'weak' : type === 'rsa' ? 'good' : 'unusual';
        return { inWords: `${type === 'rsa' ? 'RSA' : type} ${modulusLength}`, grade };
    }
    if (type === 'ec') {
        const bits = Number(/\d{3}/.exec(namedCurve ?? '')?.[0] ?? 0);
        const grade = usualCurves.includes(namedCurve) ? 'good' : bits < 224 ? 'weak' : 'unusual';
        return { inWords: `EC ${namedCurve ?? 'unknown curve'}`, grade };
    }
    return { inWords: type, grade: 'unusual' };
}
/** The signature's algorithm and hash in words, and whether the hash can be forged. */
export function signatureOf({ raw }) {
    const { name, hash } = new x509.X509Certificate(raw).signatureAlgorithm;
    const inWords = hash === undefined ? name : `${name} with ${hash.name}`;
    return { inWords, weak: /SHA-1$|MD[245]/.test(inWords) || weakOids.includes(name) };
}
/** What the library knows by number only: RSA with MD2, MD4 and MD5. */
const weakOids = ['1.2.840.113549.1.1.2', '1.2.840.113549.1.1.3', '1.2.840.113549.1.1.4'];
