/** Bytes from hex that reads by eye: `42 00 20 | 02 | 00 00 00 04 | 00 00 00 08 | 00 00 00 00`. */
export function hex(text) {
    const digits = text.replace(/[\s|]/g, '');
    if (!/^(?:[0-9a-f]{2})*$/i.test(digits))
        throw new Error(`not hex: ${text}`);
    return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
/** A copy of `bytes` with some of them replaced. */
export function patched(bytes, at, ...replacement) {
    const copy = Uint8Array.from(bytes);
    copy.set(replacement, at);
    return copy;
}
export function concat(...parts) {
    const joined = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const part of parts) {
        joined.set(part, at);
        at += part.length;
    }
    return joined;
}
