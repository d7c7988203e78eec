import { createCipheriv, createDecipheriv } from 'node:crypto';
/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const initialValue = {
    wrap: Buffer.from('a6a6a6a6a6a6a6a6', 'hex'),
    'wrap-pad': Buffer.from('a65959a6', 'hex'),
};
const cipherName = (key, mode) => `id-aes${(key.symmetricKeySize ?? 0) * 8}-${mode}`;
/** Wraps `plaintext` under an AES key of 16, 24 or 32 bytes. */
export function aesWrap(key, mode, plaintext) {
    const cipher = createCipheriv(cipherName(key, mode), key, initialValue[mode]);
    return Buffer.concat([cipher.update(plaintext), cipher.final()]);
}
/** Unwraps; `undefined` for a wrong length, padding, integrity value or key. */
export function aesUnwrap(key, mode, wrapped) {
    // To OpenSSL an empty update is no work, not a failure: it would answer with an empty plaintext.
    if (wrapped.length === 0)
        return undefined;
    const decipher = createDecipheriv(cipherName(key, mode), key, initialValue[mode]);
    try {
        return decipher.update(wrapped);
    }
    catch {
        return undefined;
    }
}
