const plainText = (text) => text;
const plain = { good: plainText, bad: plainText, warn: plainText, dim: plainText, bold: plainText };
const sgr = (on, off) => (text) => `\u001b[${on}m${text}\u001b[${off}m`;
const coloured = { good: sgr(32, 39), bad: sgr(31, 39), warn: sgr(33, 39), dim: sgr(2, 22), bold: sgr(1, 22) };
/** Colours on a terminal, unless NO_COLOR is set to something (no-color.org). */
export const styleFor = (stream, environment) => stream.isTTY === true && !environment['NO_COLOR'] ? coloured : plain;
