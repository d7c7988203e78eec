const SHORTEST_SECRET = 8
const LONGEST_SHOWN = 160

/**
 * The data keys and wrapped values of a run. They are the suite's own throwaways, but behind the proxy is somebody's real
 * key: none of them is printed, and none has a place in an error.
 */
export class Masks {
  readonly #texts = new Set<string>()

  /** Every spelling of `secret` is hidden from now on. Shorter than 8 bytes it would hide what it only resembles. */
  add(secret: Uint8Array): void {
    for (const text of spellings(secret)) this.#texts.add(text)
  }

  /** `text` as it may be shown: without known secrets, and without what any JSON member `value` holds. */
  readonly show = (text: string): string => {
    let shown = hideValues(text)
    for (const secret of this.#texts) shown = shown.replaceAll(secret, '<masked>')
    // Line feeds and control characters of a reply have no business in a terminal.
    shown = shown.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
    return shown.length > LONGEST_SHOWN ? `${shown.slice(0, LONGEST_SHOWN)}… (${shown.length} characters)` : shown
  }
}

/** What a member `value` holds is told by its length. */
export const hideValues = (text: string): string =>
  text.replace(
    /("value"\s*:\s*)"((?:[^"\\]|\\.)*)"?/g,
    (_all, name: string, value: string) => `${name}"<${value.length} characters>"`,
  )

/** How a secret would look in a text: base64url, base64, hex in both cases, and as it is. */
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
