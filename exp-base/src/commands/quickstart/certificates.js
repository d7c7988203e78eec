import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;
const LIFETIME_MS = 7 * 24 * HOUR_MS;
/** Issues a certificate with a fresh ECDSA P-256 key; it signs itself where `authority` is absent. */
export async function issue(request, authority) {
    const keys = await webcrypto.subtle.generateKey(ECDSA, true, ['sign', 'verify']);
    const names = typeof request.commonName === 'string' ? [request.commonName] : request.commonName;
    const subject = new x509.Name(names.map((name) => ({ CN: [name] }))).toString();
    const issuer = authority?.issuer ?? { name: subject, keys };
    const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: randomBytes(8).toString('hex').replace(/^./, '1'),
        subject,
        issuer: issuer.name,
        notBefore: request.notBefore ?? new Date(Date.now() - HOUR_MS),
        notAfter: request.notAfter ?? new Date(Date.now() + LIFETIME_MS),
        publicKey: keys.publicKey,
        signingKey: issuer.keys.privateKey,
        signingAlgorithm: ECDSA,
        extensions: [
            ...extensionsFor(request),
            await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
            await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
        ],
    });
    return {
        certificate: certificate.toString('pem') + '\n',
        key: x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY') + '\n',
        issuer: { name: subject, keys },
    };
}
function extensionsFor({ usage, hosts = [] }) {
    if (usage === 'authority') {
        const flags = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
        return [new x509.BasicConstraintsExtension(true, undefined, true), new x509.KeyUsagesExtension(flags, true)];
    }
    const purpose = usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
    const alternatives = hosts.map((host) => ({
        type: isAddress(host) ? 'ip' : 'dns',
        value: host,
    }));
    return [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([purpose], false),
        ...(alternatives.length > 0 ? [new x509.SubjectAlternativeNameExtension(alternatives)] : []),
    ];
}
const isAddress = (host) => /^[\d.]+$/.test(host) || host.includes(':');
