import { asBuffer } from '../../adapters/contract/index.ts'

/** The characters of the last group that leave no unused bit set. */
const CANONICAL = /^(?:[\w-]{4})*(?:[\w-][AQgw]|[\w-]{2}[AEIMQUYcgkosw048])?$/

/**
 * Decodes base64url without padding (RFC 4648 §5). Each value has exactly one accepted spelling: without padding, white
 * space, `+`, `/` or leftover bits. Undefined for any other text; Node.js would skip or drop what it does not know.
 */
export const decodeBase64url = (text: string): Buffer | undefined =>
  CANONICAL.test(text) ? Buffer.from(text, 'base64url') : undefined

export const encodeBase64url = (bytes: Uint8Array): string => asBuffer(bytes).toString('base64url')
