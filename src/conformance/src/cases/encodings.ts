import type { Case, Severity } from '../case.ts'
import { base64url } from '../api.ts'
import type { Probe } from '../probe.ts'

const clause = 'Bodies, values'
/** The bytes of a data key. Both it and its 40 wrapped bytes leave unused bits in the last character. */
const UNEVEN_BYTES = 32
/** Lengths in bytes that leave no unused bits: 24 bytes are 32 characters. */
const EVEN_BYTES = { wrapkey: 24, unwrapkey: 16 } as const

type Misspelling = (right: string) => string

/**
 * A data key, or a wrapped one, whose base64url text contains at least one of the two characters that base64 does not
 * have.
 */
async function valueFor(probe: Probe, operation: 'wrapkey' | 'unwrapkey', even: boolean): Promise<string> {
  for (;;) {
    const dataKey = probe.dataKey(even ? EVEN_BYTES[operation] : UNEVEN_BYTES)
    const value =
      operation === 'wrapkey' ? dataKey : probe.value(await probe.wrap(probe.aesKey, 'A256KW', base64url(dataKey)))
    const text = base64url(value)
    if (/[-_]/.test(text)) return text
  }
}

const refusedValue = (id: string, title: string, ...spellings: Misspelling[]): Case => ({
  id: `encoding.${id}`,
  clause,
  severity: 'must',
  title: `${title} is 400, on wrapkey and on unwrapkey`,
  needs: ['aes'],
  run: async (probe) => {
    for (const operation of ['wrapkey', 'unwrapkey'] as const) {
      for (const spelling of spellings) {
        const value = spelling(await valueFor(probe, operation, id === 'length'))
        const note = `alg A256KW, value ${title.replace(/^a value /, '')}`
        const reply = await probe.call(`${probe.aesKey}/${operation}`, { alg: 'A256KW', value }, note)
        probe.refused(reply, 400, 'BadRequest')
      }
    }
  },
})

/** Sets the lowest bit of the last character, which no byte of the value uses. */
const leftoverBits = (text: string): string => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + (alphabet[alphabet.indexOf(text.at(-1) ?? '') + 1] ?? '')
}

const padded = (text: string) => text + '='.repeat((4 - (text.length % 4)) % 4)

const good = (id: string, severity: Severity, title: string, run: Case['run']): Case => ({
  id: `encoding.${id}`,
  clause,
  severity,
  title,
  needs: ['aes'],
  run,
})

export const encodingCases: readonly Case[] = [
  good(
    'base64url',
    'must',
    'every character of base64url is understood, whatever the length of the value',
    async (probe) => {
      // 48 bytes whose base64url text is the alphabet in its order.
      const all = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'base64url')
      for (const bytes of [all, all.subarray(0, 16), all.subarray(0, 32), all.subarray(8, 32)]) {
        const wrapped = probe.value(await probe.wrap(probe.aesKey, 'A256KW', bytes))
        const reply = await probe.unwrap(probe.aesKey, 'A256KW', wrapped)
        probe.checkReply(reply, 'the bytes that were wrapped', probe.value(reply).equals(bytes))
      }
    },
  ),
  refusedValue('padding', 'a value with padding', padded),
  refusedValue('standard-alphabet', 'a value in standard base64, with + and /', (text) =>
    text.replaceAll('-', '+').replaceAll('_', '/'),
  ),
  refusedValue('leftover-bits', 'a value with bits left over in its last character', leftoverBits),
  refusedValue(
    'white-space',
    'a value with white space',
    (text) => `${text.slice(0, 4)} ${text.slice(4)}`,
    (text) => `${text}\n`,
    (text) => `${text.slice(0, 20)}\r\n${text.slice(20)}`,
    (text) => ` ${text}`,
  ),
  refusedValue('length', 'a value of a length that base64url cannot have', (text) => `${text}A`),
  refusedValue(
    'other-characters',
    'a value with characters that base64url does not have',
    (text) => `${text.slice(0, 8)}.${text.slice(9)}`,
    (text) => `${text.slice(0, 8)}Ä${text.slice(9)}`,
    (text) => `${text}\u0000`,
    (text) =>
      Buffer.from(text, 'base64url')
        .toString('hex')
        .replace(/..(?!$)/g, '$&:'),
    (text) => `-----BEGIN DATA-----\n${text}\n-----END DATA-----`,
  ),
  refusedValue('empty', 'an empty value', () => ''),
]
