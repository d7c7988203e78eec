/** `text` as one word of a shell. */
export const quoted = (text) => /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw `'\''`)}'`;
/** `1 pool`, `2 pools`. */
export const count = (number, what) => `${number} ${what}${number === 1 ? '' : 's'}`;
