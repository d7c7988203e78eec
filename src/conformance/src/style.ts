/** Colours of a terminal, or none. */
export interface Style {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly dim: (text: string) => string
  readonly bold: (text: string) => string
}

const plainText = (text: string) => text
const plain: Style = { good: plainText, bad: plainText, warn: plainText, dim: plainText, bold: plainText }

const sgr = (on: number, off: number) => (text: string) => `\u001b[${on}m${text}\u001b[${off}m`
const coloured: Style = { good: sgr(32, 39), bad: sgr(31, 39), warn: sgr(33, 39), dim: sgr(2, 22), bold: sgr(1, 22) }

/** Colours on a terminal, unless NO_COLOR is set to a non-empty value (no-color.org). */
export const styleFor = (stream: { readonly isTTY?: boolean }, environment: NodeJS.ProcessEnv): Style =>
  stream.isTTY === true && !environment['NO_COLOR'] ? coloured : plain
