/**
 * What a terminal or an editor obeys, hides or turns around rather than shows: control and format characters, of which the
 * bidirectional marks are some, what is no character, and the separators of lines and paragraphs. Lines may end.
 */
const INVISIBLE = /[^\P{C}\n]|[\p{Zl}\p{Zp}]/gu

const escape = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => `\\u${hex(character.charCodeAt(at))}`).join('')

const hex = (unit: number): string => unit.toString(16).padStart(4, '0')

/**
 * A text in which every character is seen: the others are `\uXXXX`. JSON means the same afterwards. For whatever somebody
 * else chose, a caller or a server, before it is logged or printed.
 */
export const visible = (text: string): string => text.replace(INVISIBLE, escape)
