const hexOfByte = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
// Conversions go through hexadecimal text: engines do that in linear time, while shifting word by word is quadratic.
/**
 * Bytes that a Big Integer takes: the shortest multiple of 8 that holds the value and its sign in two's complement (KMIP
 * 1.4 §9.1.1.4).
 */
export function bigIntegerBytes(value) {
    const magnitude = (value < 0n ? -value - 1n : value).toString(16);
    const bits = 4 * (magnitude.length - 1) + (32 - Math.clz32(Number.parseInt(magnitude[0] ?? '0', 16)));
    return 8 * Math.ceil((bits + 1) / 64);
}
/** Writes `value` over all of `target`, sign-extended on the left. */
export function writeBigInteger(target, value) {
    const hex = BigInt.asUintN(8 * target.length, value)
        .toString(16)
        .padStart(2 * target.length, '0');
    for (let at = 0; at < target.length; at++)
        target[at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16);
}
/** Reads any number of bytes as one number in two's complement. */
export function readBigInteger(bytes) {
    const hex = [];
    for (const byte of bytes)
        hex.push(hexOfByte[byte] ?? '');
    return BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex.join('')}`));
}
