import { CompactEncrypt, compactDecrypt, errors } from 'jose';
/** Encrypts `payload` as a compact JWE (RFC 7516, `dir` with `A256GCM`) and zeroes it. */
export async function seal(payload, about, key) {
    try {
        return await new CompactEncrypt(payload).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...about }).encrypt(key);
    }
    finally {
        payload.fill(0);
    }
}
/** Opens a sealed text; `undefined` if it is damaged, made with another key, or about something else. */
export async function unseal(text, about, key) {
    try {
        const { plaintext, protectedHeader } = await compactDecrypt(text.trim(), key, {
            keyManagementAlgorithms: ['dir'],
            contentEncryptionAlgorithms: ['A256GCM'],
        });
        if (protectedHeader.kid === about.kid && protectedHeader.cty === about.cty)
            return plaintext;
        plaintext.fill(0);
        return undefined;
    }
    catch (error) {
        if (error instanceof errors.JOSEError)
            return undefined;
        throw error;
    }
}
