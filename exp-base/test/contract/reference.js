import { constants, createCipheriv, createDecipheriv, createHash, createPrivateKey, createPublicKey, privateDecrypt, publicEncrypt, randomBytes, } from 'node:crypto';
/** AES-256's forward cipher, which is the one that KW and KWP wrap with. */
export function aes256(key) {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    return (block) => cipher.update(block);
}
/** AES-256's inverse cipher. SP 800-38F §5.1 allows wrapping with it; the result must mean nothing to KW and KWP. */
export function aes256Inverse(key) {
    const decipher = createDecipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    return (block) => decipher.update(block);
}
const SEMIBLOCK = 8;
/** RFC 3394 §2.2.1: `iv` and whole semiblocks, of which the RFC wants two and RFC 5649 §4.1 allows one. */
export function wrapSemiblocks(encrypt, iv, data) {
    if (data.length === SEMIBLOCK)
        return encrypt(Buffer.concat([iv, data]));
    const registers = [];
    for (let at = 0; at < data.length; at += SEMIBLOCK)
        registers.push(Buffer.from(data.subarray(at, at + SEMIBLOCK)));
    let a = Buffer.from(iv);
    let step = 0n;
    for (let round = 0; round < 6; round += 1) {
        for (const [index, register] of registers.entries()) {
            const block = encrypt(Buffer.concat([a, register]));
            step += 1n;
            a = Buffer.alloc(SEMIBLOCK);
            a.writeBigUInt64BE(block.readBigUInt64BE(0) ^ step);
            registers[index] = Buffer.from(block.subarray(SEMIBLOCK));
        }
    }
    return Buffer.concat([a, ...registers]);
}
/** RFC 3394 §2.2.3.1. */
export const kwIv = Buffer.from('a6a6a6a6a6a6a6a6', 'hex');
/** RFC 5649 §3: a constant, then the length of the data before padding. */
export function kwpIv(bytes) {
    const iv = Buffer.from('a65959a600000000', 'hex');
    iv.writeUInt32BE(bytes, 4);
    return iv;
}
export const kw = (encrypt, plaintext) => wrapSemiblocks(encrypt, kwIv, plaintext);
export function kwp(encrypt, plaintext) {
    const padded = Buffer.alloc(Math.ceil(plaintext.length / SEMIBLOCK) * SEMIBLOCK);
    padded.set(plaintext);
    return wrapSemiblocks(encrypt, kwpIv(plaintext.length), padded);
}
/** RFC 8017 §B.2.1. */
function mgf1(hash, seed, bytes) {
    const blocks = [];
    for (let counter = 0; blocks.length * createHash(hash).digest().length < bytes; counter += 1) {
        const counterBytes = Buffer.alloc(4);
        counterBytes.writeUInt32BE(counter);
        blocks.push(createHash(hash).update(seed).update(counterBytes).digest());
    }
    return Buffer.concat(blocks).subarray(0, bytes);
}
const xor = (a, b) => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
/** RFC 8017 §7.1.1 and §5.1.1, by hand. */
export function oaepWrapByHand(jwk, parts) {
    const { hash, message, mgfHash = hash, label = Buffer.alloc(0), firstByte = 0, separator = 1 } = parts;
    const labelHash = createHash(hash).update(label).digest();
    const modulusBytes = Buffer.from(jwk.n, 'base64url').length;
    const padding = Buffer.alloc(modulusBytes - message.length - 2 * labelHash.length - 2);
    parts.damagePadding?.(padding);
    const block = Buffer.concat([labelHash, padding, Buffer.of(separator), message]);
    const seed = randomBytes(labelHash.length);
    const maskedBlock = xor(block, mgf1(mgfHash, seed, block.length));
    const maskedSeed = xor(seed, mgf1(mgfHash, maskedBlock, seed.length));
    return rsaRaw(jwk, Buffer.concat([Buffer.of(firstByte), maskedSeed, maskedBlock]));
}
const publicKeyOf = (jwk) => createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' });
function rsaRaw(jwk, block) {
    return publicEncrypt({ key: publicKeyOf(jwk), padding: constants.RSA_NO_PADDING }, block);
}
const oaep = (oaepHash) => ({ padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash });
export const oaepWrap = (jwk, hash, plaintext) => publicEncrypt({ key: publicKeyOf(jwk), ...oaep(hash) }, plaintext);
export const oaepUnwrap = (jwk, hash, wrapped) => privateDecrypt({ key: createPrivateKey({ key: { ...jwk }, format: 'jwk' }), ...oaep(hash) }, wrapped);
