/**
 * Zeroed bytes for what is secret and will be zeroed again. V8 has typed arrays of up to 64 bytes on its own heap, Buffers
 * of Node.js among them: it copies them when it collects garbage, and once more when a native function or `.buffer` asks
 * for their memory, and leaves the copies behind. What has an ArrayBuffer from the start is never moved.
 */
export const wipeable = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(length))

/** A copy of `bytes`, as {@link wipeable} has it. */
export function wipeableCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = wipeable(bytes.length)
  copy.set(bytes)
  return copy
}

/** The same memory, with the methods that Buffer has. */
export const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
