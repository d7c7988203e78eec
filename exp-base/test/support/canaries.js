/** The ways in which bytes could slip into text. */
const spellings = {
    latin1: (bytes) => bytes.toString('latin1'),
    utf8: (bytes) => bytes.toString('utf8'),
    hex: (bytes) => bytes.toString('hex'),
    HEX: (bytes) => bytes.toString('hex').toUpperCase(),
    'spaced hex': (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' '),
    base64: (bytes) => bytes.toString('base64').replace(/=+$/, ''),
    base64url: (bytes) => bytes.toString('base64url'),
    'list of numbers': (bytes) => [...bytes].join(','),
    'spaced list of numbers': (bytes) => [...bytes].join(', '),
};
/** A part of a long secret is as bad as the whole: its first 16 bytes are looked for too. */
const parts = (bytes) => (bytes.length > 24 ? [bytes, bytes.subarray(0, 15)] : [bytes]);
/** Names of the canaries, with their spelling, that stand in `text`; never the values. */
export function findCanaries(text, canaries) {
    return Object.entries(canaries).flatMap(([name, bytes]) => Object.entries(spellings)
        .filter(([, spell]) => parts(bytes).some((part) => text.includes(spell(Buffer.from(part)))))
        .map(([spelling]) => `${name} in ${spelling}`));
}
