import { asBuffer } from '../../adapters/contract/index.ts'

/** The characters of the last group are those whose leftover bits are zero. */
const CANONICAL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/

/**
 * Reads base64url without padding (RFC 4648 §5), and of each value only its one spelling: no padding, white space, `+`,
 * `/` or leftover bits. `undefined` for anything else, of which Node.js would skip or drop what it does not know.
 */
export const decodeBase64url = (text: string): Buffer | undefined =>
  CANONICAL.test(text) ? Buffer.from(text, 'base64url') : undefined

export const encodeBase64url = (bytes: Uint8Array): string => asBuffer(bytes).toString('base64url')
