/** `1 pool`, `2 pools`. */
export const count = (number: number, what: string, many = `${what}s`): string =>
  `${number} ${number === 1 ? what : many}`
