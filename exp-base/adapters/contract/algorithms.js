export const rsaSizes = [2048, 3072, 4096];
/** Bits of an unsigned big-endian integer. */
export function bitLength(integer) {
    const leading = integer.findIndex((byte) => byte !== 0);
    return leading === -1 ? 0 : 8 * (integer.length - leading) - (Math.clz32(integer[leading] ?? 0) - 24);
}
const SEMIBLOCK = 8;
const toSemiblocks = (bytes) => Math.ceil(bytes / SEMIBLOCK) * SEMIBLOCK;
/** RFC 3394: at least two semiblocks, and whole ones. */
const keyWrap = {
    kty: 'oct',
    plaintext: () => ({ min: 2 * SEMIBLOCK, max: Infinity, multipleOf: SEMIBLOCK }),
    wrappedBytes: (plaintextBytes) => plaintextBytes + SEMIBLOCK,
    unwrapped: (wrappedBytes) => ({
        min: wrappedBytes - SEMIBLOCK,
        max: wrappedBytes - SEMIBLOCK,
        multipleOf: SEMIBLOCK,
    }),
};
/** RFC 5649: any length from one byte. */
const keyWrapWithPadding = {
    kty: 'oct',
    plaintext: () => ({ min: 1, max: Infinity, multipleOf: 1 }),
    wrappedBytes: (plaintextBytes) => toSemiblocks(plaintextBytes) + SEMIBLOCK,
    unwrapped: (wrappedBytes) => ({
        min: wrappedBytes - 2 * SEMIBLOCK + 1,
        max: wrappedBytes - SEMIBLOCK,
        multipleOf: 1,
    }),
};
/** RFC 8017 §7.1: at most k − 2·hLen − 2 bytes of data, always k bytes when wrapped. */
function oaep(hash, hashBytes) {
    const capacity = (bits) => ({ min: 1, max: bits / 8 - 2 * hashBytes - 2, multipleOf: 1 });
    return {
        kty: 'RSA',
        hash,
        plaintext: capacity,
        wrappedBytes: (_plaintextBytes, bits) => bits / 8,
        unwrapped: (_wrappedBytes, bits) => capacity(bits),
    };
}
// No prototype: a name such as `constructor` that a caller sends must find nothing.
const rows = Object.assign(Object.create(null), {
    A256KW: keyWrap,
    A256KWP: keyWrapWithPadding,
    'RSA-OAEP': oaep('SHA-1', 20),
    'RSA-OAEP-256': oaep('SHA-256', 32),
});
/** Every algorithm, in the order in which messages list them. */
export const wrapAlgorithms = Object.keys(rows);
export const isWrapAlgorithm = (name) => name in rows;
export const algorithmRow = (algorithm) => rows[algorithm];
/** Whether a length of `bytes` obeys `rule`. */
export const lengthFits = (rule, bytes) => bytes >= rule.min && bytes <= rule.max && bytes % rule.multipleOf === 0;
