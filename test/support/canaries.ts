/** Values that no output of a program may contain. */
export type Canaries = Readonly<Record<string, Uint8Array>>

/** Encodings in which bytes could appear in text. */
const spellings: Readonly<Record<string, (bytes: Buffer) => string>> = {
  latin1: (bytes) => bytes.toString('latin1'),
  utf8: (bytes) => bytes.toString('utf8'),
  hex: (bytes) => bytes.toString('hex'),
  HEX: (bytes) => bytes.toString('hex').toUpperCase(),
  'spaced hex': (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
  base64: (bytes) => bytes.toString('base64').replace(/=+$/, ''),
  base64url: (bytes) => bytes.toString('base64url'),
  'list of numbers': (bytes) => [...bytes].join(','),
  'spaced list of numbers': (bytes) => [...bytes].join(', '),
}

/** A part of a long secret is as bad as the whole, so the search also looks for its first 16 bytes. */
const parts = (bytes: Uint8Array) => (bytes.length > 24 ? [bytes, bytes.subarray(0, 15)] : [bytes])

/** Names and encodings of the canaries found in `text`, never their values. */
export function findCanaries(text: string, canaries: Canaries): string[] {
  return Object.entries(canaries).flatMap(([name, bytes]) =>
    Object.entries(spellings)
      .filter(([, spell]) => parts(bytes).some((part) => text.includes(spell(Buffer.from(part)))))
      .map(([spelling]) => `${name} in ${spelling}`),
  )
}
