import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { climb, readPrivateKey } from "./server-chain.js";
import { quoted } from "./words.js";
import { isSelfIssued, issued, issuerNameOf, nameOf } from "./x509.js";
export function checkKey({ file, keyFile, chain, keyBelongs }, findings) {
    if (keyBelongs) {
        findings.ok('certificate.key-match', 'the private key belongs to the certificate');
        return;
    }
    const key = keyFile === undefined ? undefined : readPrivateKey(keyFile);
    if (keyFile === undefined || key === undefined) {
        findings.notChecked('certificate.key-match', 'the private key cannot be read, or needs a passphrase', {
            advice: 'it is checked once the configuration is valid',
        });
    }
    else if (chain.some((certificate) => certificate.checkPrivateKey(key))) {
        findings.ok('certificate.key-match', 'the private key belongs to a certificate of the file');
    }
    else {
        findings.problem('certificate.key-match', `${keyFile} does not belong to ${file}`, {
            advice: 'find the key that the certificate was asked for with; its public key is the same',
            command: `openssl x509 -noout -pubkey -in ${quoted(file)}; openssl pkey -pubout -in ${quoted(keyFile)}`,
        });
    }
}
export function checkOrder({ file, keyFile, chain, ordered, keyBelongs }, findings) {
    if (!ordered) {
        findings.notChecked('certificate.chain-order', 'OpenSSL puts the certificates of a PKCS#12 file in order itself');
        return;
    }
    const key = keyBelongs || keyFile === undefined ? undefined : readPrivateKey(keyFile);
    const own = key === undefined ? 0 : chain.findIndex((certificate) => certificate.checkPrivateKey(key));
    if (own > 0) {
        findings.problem('certificate.chain-order', `the server's own certificate is number ${own + 1} in ${file}`, {
            advice: "put it first, then its issuer's, and so on upwards",
            command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
        });
        return;
    }
    const stray = chain.findIndex((certificate, index) => {
        const below = chain[index - 1];
        return below !== undefined && !issued(certificate, below);
    });
    const at = chain[stray];
    if (at === undefined) {
        const words = chain.length === 1 ? 'one certificate' : `${chain.length} certificates, each followed by its issuer's`;
        findings.ok('certificate.chain-order', words);
        return;
    }
    findings.warning('certificate.chain-order', `number ${stray + 1} in ${file}, ${nameOf(at)}, did not issue the one before it`, {
        advice: 'bring the issuers in order, and leave out what does not belong: not every client sorts them (RFC 8446 section 4.4.2)',
        command: `openssl storeutl -noout -text -certs ${quoted(file)} | grep -E 'Subject:|Issuer:'`,
    });
} // prettier-ignore
export function checkCompleteness({ file, chain, serverCa, keyBelongs }, findings) {
    const id = 'certificate.chain-complete';
    // Without a key that says which is the server's own, the first may be any.
    const path = climb(chain[0], chain.slice(1));
    const top = path.at(-1) ?? chain[0];
    const missing = issuerNameOf(top);
    const fields = { certificates: path.length, top: nameOf(top), issuer: missing };
    if (serverCa !== undefined) {
        const root = serverCa.find((candidate) => candidate.fingerprint256 === top.fingerprint256 || issued(candidate, top));
        if (root !== undefined && isSelfIssued(root))
            findings.ok(id, `leads to ${nameOf(root)} of --server-ca`, { fields });
        else if (root !== undefined) {
            findings.warning(id, `leads to ${nameOf(root)} of --server-ca, which is not a root`, {
                advice: "Managed HSM wants the root: give that to az as --server-ca-certificate, and the rest to the server's file",
                fields,
            });
        }
        else if (isSelfIssued(top)) {
            findings.problem(id, `leads to the root ${nameOf(top)}, which is not in --server-ca`, {
                advice: 'tell Azure of this root before the certificate is served',
                command: 'az keyvault ekm-connection update --hsm-name HSM --server-ca-certificate ROOTS.pem',
                fields,
            });
        }
        else {
            findings.problem(id, `the certificate of ${missing}, which issued ${nameOf(top)}, is neither in ${file} nor in --server-ca`, {
                advice: "append the issuing CA's certificate to the file",
                command: `cat ISSUING-CA.pem >> ${quoted(file)}`,
                fields,
            });
        }
        return;
    }
    const publicRoot = isSelfIssued(top) ? undefined : findPublicRoot(top);
    if (!keyBelongs && path.length < chain.length)
        findings.notChecked(id, 'the order of the certificates is to be put right first');
    else if (isSelfIssued(top))
        findings.ok(id, `leads to its root, ${nameOf(top)}`, { fields });
    else if (publicRoot !== undefined)
        findings.ok(id, `leads to the public root ${nameOf(publicRoot)}`, { fields });
    else if (path.length === 1 && /CA Issuers/.test(top.infoAccess ?? '')) {
        findings.warning(id, `the file has no other certificate than ${nameOf(top)}, and its issuer ${missing} is no public root`, {
            advice: 'public CAs issue through intermediates, which the server must send: append them to the file, or give the root as --server-ca',
            command: `openssl x509 -noout -ext authorityInfoAccess -in ${quoted(file)}`,
            fields,
        });
    }
    else {
        findings.notChecked(id, `whether ${missing}, which issued ${nameOf(top)}, is the root that Azure was told cannot be seen from here`, {
            advice: 'give the file that Azure got as --server-ca-certificate as --server-ca',
            fields,
        });
    }
} // prettier-ignore
/** Of those that Node.js brings along. */
function findPublicRoot(top) {
    for (const pem of rootCertificates) {
        const root = new X509Certificate(pem);
        if (root.subject === top.issuer && issued(root, top))
            return root;
    }
    return undefined;
}
