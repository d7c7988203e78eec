/**
 * Zeroed bytes for a secret that will be zeroed again. V8 keeps typed arrays of up to 64 bytes (Buffers included) on
 * its own heap. It copies them at a garbage collection, and when a native function or `.buffer` asks for their memory,
 * and leaves the old copies behind. An array that has an ArrayBuffer from the start never moves.
 */
export const wipeable = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length))

/** A copy of `bytes` in memory that does not move: see {@link wipeable}. */
export function wipeableCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = wipeable(bytes.length)
  copy.set(bytes)
  return copy
}

/** The same memory, with the methods that Buffer has. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
