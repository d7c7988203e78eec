/** The ways in which bytes could slip into text. */
const spellings: readonly ((bytes: Buffer) => string)[] = [
  (bytes) => bytes.toString('latin1'),
  (bytes) => bytes.toString('utf8'),
  (bytes) => bytes.toString('hex'),
  (bytes) => bytes.toString('hex').toUpperCase(),
  (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
  (bytes) => bytes.toString('base64').replace(/=+$/, ''),
  (bytes) => bytes.toString('base64url'),
  (bytes) => [...bytes].join(','),
  (bytes) => [...bytes].join(', '),
]

/** A part of a long value is as bad as the whole: its first 15 bytes are looked for too. */
const partsOf = (value: Buffer) => (value.length > 24 ? [value, value.subarray(0, 15)] : [value])

/** Those of the values that stand in `text`, in any spelling. */
export const leaksIn = (text: string, values: readonly Buffer[]): Buffer[] =>
  values.filter((value) => partsOf(value).some((part) => spellings.some((spell) => text.includes(spell(part)))))
