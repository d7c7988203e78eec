/**
 * Reads base64url without padding (RFC 4648 §5), and of each value only its one spelling: no padding, white space, `+`,
 * `/` or leftover bits. `undefined` for anything else.
 */
export function decodeBase64url(text) {
    const bytes = Buffer.from(text, 'base64url');
    // Node.js skips what it does not know and drops leftover bits; only the canonical spelling comes back the same.
    if (encodeBase64url(bytes) === text)
        return bytes;
    bytes.fill(0);
    return undefined;
}
export const encodeBase64url = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
