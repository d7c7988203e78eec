/** How many of a file's bytes are its secret: one line end at the file's end is not part of it. */
export function secretLength(bytes: Uint8Array): number {
  if (bytes.at(-1) !== LF) return bytes.length
  return bytes.at(-2) === CR ? bytes.length - 2 : bytes.length - 1
}

/**
 * What an editor, a shell or a person has put around the secret in a file, as the end of a sentence about the file;
 * `undefined` for nothing. A backend would count it as a wrong PIN, and a few of those lock a token. Bytes that are no text
 * are a secret as they are. No text is made of the bytes: it could not be wiped.
 */
export function secretFlaw(bytes: Uint8Array): string | undefined {
  if (isUtf16(bytes)) return "is in UTF-16, as PowerShell's > writes it"
  if (!isText(bytes)) return undefined
  if (beginsWith(bytes, [0xef, 0xbb, 0xbf])) return 'begins with a byte order mark'
  const secret = bytes.subarray(0, secretLength(bytes))
  if (isOneOf(LINE_ENDS, secret.at(-1))) return 'ends with more than one newline'
  if (isOneOf(BLANKS, secret[0]) || isOneOf(BLANKS, secret.at(-1))) return 'has white space before or after the secret'
  const isQuoted = secret.length > 1 && secret[0] === secret.at(-1) && isOneOf(QUOTES, secret[0])
  return isQuoted ? 'has quotes around the secret' : undefined
}

/** How to end a flaw, for a message. */
export const WRITE_SECRET = "write the secret alone: printf %s 'SECRET' > FILE"

const [TAB, LF, CR, BLANK, DELETE] = [0x09, 0x0a, 0x0d, 0x20, 0x7f]
const LINE_ENDS: readonly number[] = [LF, CR]
const BLANKS: readonly number[] = [TAB, LF, CR, BLANK]
const QUOTES: readonly number[] = [0x22, 0x27]

const isOneOf = (list: readonly number[], byte: number | undefined): boolean =>
  byte !== undefined && list.includes(byte)

const beginsWith = (bytes: Uint8Array, start: readonly number[]): boolean =>
  start.every((byte, at) => bytes[at] === byte)

/** With a byte order mark; or without one, of characters that each have a byte of 0. */
function isUtf16(bytes: Uint8Array): boolean {
  if (bytes.length < 2 || bytes.length % 2 !== 0) return false
  if (beginsWith(bytes, [0xff, 0xfe]) || beginsWith(bytes, [0xfe, 0xff])) return true
  const areZero = (remainder: number) => bytes.every((byte, at) => at % 2 !== remainder || byte === 0)
  return bytes.some((byte) => byte !== 0) && (areZero(0) || areZero(1))
}

const isText = (bytes: Uint8Array): boolean =>
  isUtf8(bytes) && bytes.every((byte) => (byte >= BLANK && byte !== DELETE) || isOneOf(BLANKS, byte))

/** As far as it tells text from other bytes: overlong forms are not looked for. */
function isUtf8(bytes: Uint8Array): boolean {
  let following = 0
  for (const byte of bytes) {
    const continues = (byte & 0xc0) === 0x80
    if (continues !== following > 0) return false
    if (continues) following -= 1
    else if (byte >= 0x80) following = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3
    if (byte > 0xf4) return false
  }
  return following === 0
}
