const decoders = { utf8: new TextDecoder(), utf16le: new TextDecoder('utf-16le'), utf16be: new TextDecoder('utf-16be') }

/**
 * The characters of a text file in UTF-8 or UTF-16, without a byte order mark. PowerShell 5.1 writes UTF-16 at `>`, with the
 * mark.
 */
export function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes
  if (first === 0xff && second === 0xfe) return decoders.utf16le.decode(bytes)
  if (first === 0xfe && second === 0xff) return decoders.utf16be.decode(bytes)
  return decoders.utf8.decode(bytes)
}
