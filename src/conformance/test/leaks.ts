/** Encodings in which bytes could appear in text. */
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

/** A part of a long value is as bad as the whole value, so the search also looks for its first 15 bytes. */
const partsOf = (value: Buffer) => (value.length > 24 ? [value, value.subarray(0, 15)] : [value])

/** The values found in `text`, in any encoding. */
export const leaksIn = (text: string, values: readonly Buffer[]): Buffer[] =>
  values.filter((value) => partsOf(value).some((part) => spellings.some((spell) => text.includes(spell(part)))))
