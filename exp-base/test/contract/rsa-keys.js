import { generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
const made = new Map();
/** An RSA key made for this run; the same bits and `use` give the same key, because making one takes up to seconds. */
export function rsaKey(bits, use = 'first') {
    const id = `${bits} ${use}`;
    const key = made.get(id) ?? generate(bits);
    made.set(id, key);
    return key;
}
async function generate(bits) {
    const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits });
    const jwk = privateKey.export({ format: 'jwk' });
    const member = (name) => {
        const value = jwk[name];
        if (typeof value !== 'string')
            throw new TypeError(`the generated key has no ${name}`);
        return value;
    };
    return {
        kty: 'RSA',
        n: member('n'),
        e: member('e'),
        d: member('d'),
        p: member('p'),
        q: member('q'),
        dp: member('dp'),
        dq: member('dq'),
        qi: member('qi'),
    };
}
