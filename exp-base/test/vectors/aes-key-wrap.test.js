import { createSecretKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { aesUnwrap, aesWrap } from "../../adapters/software/aes-key-wrap.js";
import { aes256, aes256Inverse, kw, kwp } from "../contract/reference.js";
import { nistVectors, rfcVectors } from "./vectors.js";
const reference = { wrap: kw, 'wrap-pad': kwp };
const hex = (bytes) => bytes && Buffer.from(bytes).toString('hex');
describe.each(rfcVectors)('$source', ({ mode, cases }) => {
    it.each(cases)('section $section', ({ key, plaintext, wrapped }) => {
        const secret = createSecretKey(key);
        expect(hex(aesWrap(secret, mode, plaintext))).toBe(hex(wrapped));
        expect(hex(aesUnwrap(secret, mode, wrapped))).toBe(hex(plaintext));
    });
});
/** The cases of each plaintext length, so that a failure says which. */
function byLength(cases) {
    return [...new Set(cases.map(({ bits }) => bits))].map((bits) => ({
        bits,
        cases: cases.filter((each) => each.bits === bits),
    }));
}
const forward = nistVectors.filter(({ cipher }) => cipher === 'aes-256');
const inverse = nistVectors.filter(({ cipher }) => cipher === 'aes-256 inverse');
describe.each(forward)('SP 800-38F $files', ({ mode, wrap, unwrap }) => {
    it.each(byLength(wrap))('AE, $bits bits', ({ cases }) => {
        for (const { count, key, plaintext, wrapped } of cases) {
            expect(hex(aesWrap(createSecretKey(key), mode, plaintext)), `COUNT = ${count}`).toBe(hex(wrapped));
            expect(hex(reference[mode](aes256(key), plaintext)), `COUNT = ${count}, reference`).toBe(hex(wrapped));
        }
    });
    it.each(byLength(unwrap))('AD, $bits bits', ({ cases }) => {
        expect(cases.some(({ plaintext }) => plaintext === null)).toBe(true);
        for (const { count, key, plaintext, wrapped } of cases) {
            const expected = plaintext === null ? undefined : hex(plaintext);
            expect(hex(aesUnwrap(createSecretKey(key), mode, wrapped)), `COUNT = ${count}`).toBe(expected);
        }
    });
});
// Wrapped with AES's inverse cipher as the block function, which SP 800-38F §5.1 allows and RFC 3394 does not. The
// reference reproduces the values, so that they are refused for that reason and for no other.
describe.each(inverse)('SP 800-38F $files: never ours', ({ mode, wrap, unwrap }) => {
    it.each(byLength(wrap))('AE, $bits bits', ({ cases }) => {
        for (const { count, key, plaintext, wrapped } of cases) {
            expect(hex(reference[mode](aes256Inverse(key), plaintext)), `COUNT = ${count}`).toBe(hex(wrapped));
            expect(hex(aesWrap(createSecretKey(key), mode, plaintext)), `COUNT = ${count}`).not.toBe(hex(wrapped));
            expect(aesUnwrap(createSecretKey(key), mode, wrapped), `COUNT = ${count}`).toBeUndefined();
        }
    });
    it.each(byLength(unwrap))('AD, $bits bits', ({ cases }) => {
        for (const { count, key, plaintext, wrapped } of cases) {
            if (plaintext !== null) {
                expect(hex(reference[mode](aes256Inverse(key), plaintext)), `COUNT = ${count}`).toBe(hex(wrapped));
            }
            expect(aesUnwrap(createSecretKey(key), mode, wrapped), `COUNT = ${count}`).toBeUndefined();
        }
    });
});
describe.each(['wrap', 'wrap-pad'])('%s refuses by length', (mode) => {
    const secret = createSecretKey(Buffer.alloc(32, 7));
    const shortest = { wrap: 24, 'wrap-pad': 16 }[mode];
    const bad = Array.from({ length: 80 }, (_, bytes) => bytes).filter((bytes) => bytes % 8 !== 0 || bytes < shortest);
    it.each(bad)('%i bytes', (bytes) => {
        expect(aesUnwrap(secret, mode, Buffer.alloc(bytes, 1))).toBeUndefined();
    });
});
