const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

// Conversions go through hexadecimal text, which engines convert in linear time. Shifting word by word is quadratic.

/**
 * The encoded length in bytes of a Big Integer: the shortest multiple of 8 that holds the value and its sign in two's
 * complement (KMIP 1.4 §9.1.1.4).
 */
export function bigIntegerBytes(value: bigint): number {
  const magnitude = (value < 0n ? -value - 1n : value).toString(16)
  const bits = 4 * (magnitude.length - 1) + (32 - Math.clz32(Number.parseInt(magnitude[0] ?? '0', 16)))
  return 8 * Math.ceil((bits + 1) / 64)
}

/** Writes `value` so that it fills `target`, sign-extended on the left. */
export function writeBigInteger(target: Uint8Array, value: bigint): void {
  const hex = BigInt.asUintN(8 * target.length, value)
    .toString(16)
    .padStart(2 * target.length, '0')
  for (let at = 0; at < target.length; at++) target[at] = Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16)
}

/** Reads any number of bytes as one number in two's complement. */
export function readBigInteger(bytes: Uint8Array): bigint {
  const hex: string[] = []
  for (const byte of bytes) hex.push(hexOfByte[byte] ?? '')
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex.join('')}`))
}
