import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parsePemCertificates } from "../../config/fields.js";
import { isSelfIssued, issued } from "./x509.js";
/** `undefined` where nothing can be read; the configuration's own check says why. */
export function readServerFiles(written) {
    const pkcs12 = written.path('listen', 'tls', 'pkcs12');
    if (pkcs12 !== undefined)
        return { kind: 'pkcs12', file: pkcs12 };
    const file = written.path('listen', 'tls', 'certificate');
    const text = file === undefined ? undefined : attempt(() => readFileSync(file, 'latin1'));
    const [leaf, ...others] = (text === undefined ? undefined : parsePemCertificates(text)) ?? [];
    if (file === undefined || leaf === undefined)
        return undefined;
    return { kind: 'pem', file, keyFile: written.path('listen', 'tls', 'key'), chain: [leaf, ...others] };
}
/** A private key that needs no passphrase. */
export const readPrivateKey = (file) => attempt(() => createPrivateKey(readFileSync(file)));
function attempt(work) {
    try {
        return work();
    }
    catch {
        return undefined;
    }
}
const MAX_PATH_LENGTH = 8;
/** From the leaf upwards as far as `others` lead, in whatever order they are. */
export function climb(leaf, others) {
    const path = [leaf];
    for (let top = leaf; path.length < MAX_PATH_LENGTH && !isSelfIssued(top);) {
        const issuer = others.find((candidate) => !path.includes(candidate) && issued(candidate, top));
        if (issuer === undefined)
            break;
        path.push(issuer);
        top = issuer;
    }
    return path;
}
