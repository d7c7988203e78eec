const SHORTEST_SECRET = 8
const LONGEST_SHOWN = 160

/**
 * Hides the data keys and wrapped values of a run. They are the suite's own throwaways, but the key behind the proxy is
 * real: none of the values is printed or appears in an error.
 */
export class Masks {
  readonly #texts = new Set<string>()

  /**
   * Hides every encoding of `secret` from now on. A secret of less than 8 bytes is not hidden, because it would also
   * hide text that only resembles it.
   */
  add(secret: Uint8Array): void {
    for (const text of spellings(secret)) this.#texts.add(text)
  }

  /** `text` as it may be shown: without known secrets and without the contents of any JSON member `value`. */
  readonly show = (text: string): string => {
    let shown = hideValues(text)
    for (const secret of this.#texts) shown = shown.replaceAll(secret, '<masked>')
    // Line feeds and control characters of a reply must not reach a terminal.
    shown = shown.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
    return shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}… (${shown.length} characters)` : shown
  }
}

/** Replaces the contents of a member `value` by their length. */
export const hideValues = (text: string): string =>
  text.replace(
    /("value"\s*:\s*)"((?:[^"\\]|\\.)*)"?/g,
    (_all, name: string, value: string) => `${name}"<${value.length} characters>"`,
  )

/** The encodings of a secret in a text: base64url, base64, hexadecimal in both cases, and raw. */
export function spellings(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret)
  if (bytes.length < SHORTEST_SECRET) return []
  const hex = bytes.toString('hex')
  return [
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
    hex,
    hex.toUpperCase(),
    bytes.toString('latin1'),
  ]
}
