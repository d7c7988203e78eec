/**
 * Characters that a terminal or an editor obeys, hides or reorders instead of showing: control and format characters
 * (bidirectional marks among them), code points that are not characters, and separators of lines and paragraphs. A line
 * feed is allowed.
 */
const INVISIBLE = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu

const escape = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => `\\u${hex(character.charCodeAt(at))}`).join('')

const hex = (unit: number): string => unit.toString(16).padStart(4, '0')

/**
 * Replaces every character that is not visible by `\uXXXX`, so that JSON keeps its meaning. Use it for text that a
 * caller or a server chose, before it is logged or printed.
 */
export const visible = (text: string): string => text.replace(INVISIBLE, escape)
