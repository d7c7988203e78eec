/** `text` as one word of a shell. */
export const quoted = (text: string): string =>
  /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`

/** `1 pool`, `2 pools`. */
export const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`
