import { constants, createHash, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
const HASH_BYTES = { sha1: 20, sha256: 32 };
/** The algorithms of the EKM Proxy API that an RSA key has, and the digest of OAEP and of its MGF1 in each. */
export const rsaAlgorithms = { 'RSA-OAEP': 'sha1', 'RSA-OAEP-256': 'sha256' };
/** The key that a proxy's metadata describes. */
export const publicKeyFrom = (n, e) => createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
export const modulusBytes = (key) => Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
/** The longest message, in bytes (RFC 8017 section 7.1.1, step 1.b). */
export const capacity = (key, hash) => modulusBytes(key) - 2 * HASH_BYTES[hash] - 2;
/** RSAES-OAEP encryption (RFC 8017 section 7.1.1); Node.js's own cannot deviate from it. */
export function encrypt(key, hash, message, deviation = {}) {
    const bytes = modulusBytes(key);
    const { mgfHash = hash, label = '', first = 0, separator = 1 } = deviation;
    const data = Buffer.alloc(bytes - HASH_BYTES[hash] - 1);
    createHash(hash).update(label).digest().copy(data);
    data[data.length - message.length - 1] = separator;
    data.set(message, data.length - message.length);
    const seed = randomBytes(HASH_BYTES[hash]);
    xor(data, mask(seed, data.length, mgfHash));
    xor(seed, mask(data, seed.length, mgfHash));
    const encoded = Buffer.concat([Buffer.from([first]), seed, data]);
    return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded);
}
/** MGF1 (RFC 8017 appendix B.2.1). */
function mask(seed, length, hash) {
    const blocks = Array.from({ length: Math.ceil(length / HASH_BYTES[hash]) }, (_, index) => {
        const counter = Buffer.alloc(4);
        counter.writeUInt32BE(index);
        return createHash(hash).update(seed).update(counter).digest();
    });
    return Buffer.concat(blocks).subarray(0, length);
}
function xor(target, other) {
    for (const [index, byte] of other.entries())
        target[index] = (target[index] ?? 0) ^ byte;
}
