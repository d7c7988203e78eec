// `ignoreBOM` keeps a leading U+FEFF, which is text like any other. Without it the decoder would drop the character
// silently.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** Below this many bytes a loop over ASCII is faster than a call into the engine's decoder. */
const SHORT = 48

/** The text of UTF-8 bytes; `undefined` if they are not UTF-8. */
export function readText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start <= SHORT) {
    let text = ''
    let at = start
    for (; at < end; at++) {
      const byte = bytes[at] ?? 0
      if (byte >= 0x80) break
      text += String.fromCharCode(byte)
    }
    if (at === end) return text
  }
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** The length of `text` in UTF-8 bytes. Undefined if it has a lone surrogate, which UTF-8 cannot encode. */
export function textBytes(text: string): number | undefined {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    if (unit < 0xd800 || unit > 0xdfff) continue
    const next = text.charCodeAt(at + 1)
    if (unit > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return undefined
    // The two units have counted as 1 + 3 so far; the pair takes 4 bytes.
    at++
  }
  return bytes
}

/** Writes `text` at `offset` of `target`. `bytes` is its length from {@link textBytes}. */
export function writeText(target: Uint8Array, offset: number, text: string, bytes: number): void {
  if (bytes !== text.length) {
    encoder.encodeInto(text, target.subarray(offset))
    return
  }
  for (let at = 0; at < bytes; at++) target[offset + at] = text.charCodeAt(at)
}
