import { createCipheriv, randomBytes } from 'node:crypto';
import { oaepWrap, rsaPublicKey, wrapAll } from "../../key-wrap/index.js";
/** Around the semiblock of 8 bytes and the block of 16, the usual data keys, and one whose step counter needs two bytes. */
export const lengths = {
    KW: [16, 24, 32, 40, 64, 512],
    KWP: [1, 7, 8, 9, 12, 16, 20, 24, 31, 32, 33, 64, 512],
};
export const samples = (sizes) => sizes.map((size) => randomBytes(size));
/** Wraps with OAEP in this process. */
export function oaepAnswers({ bits, n, e }, hash, hashBytes) {
    const key = rsaPublicKey(n, e);
    const capacity = bits / 8 - 2 * hashBytes - 2;
    return samples([1, 20, 32, capacity]).map((plaintext) => ({ plaintext, wrapped: oaepWrap(key, hash, plaintext) }));
}
/** Wraps with an AES key that is known here, in this process. */
export async function localAnswers(key, mode) {
    const cipher = createCipheriv('aes-256-ecb', key, null).setAutoPadding(false);
    const values = samples(lengths[mode]);
    const wrapped = await wrapAll(mode, values, (blocks) => cipher.update(blocks));
    return values.map((plaintext, index) => ({ plaintext, wrapped: wrapped[index] ?? new Uint8Array() }));
}
/** `wrapped` with one bit changed, which no right implementation opens. */
export function damaged(wrapped) {
    const copy = Uint8Array.from(wrapped);
    const at = copy.length >> 1;
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
}
export const equal = (a, b) => Buffer.compare(a, b) === 0;
