import * as v from 'valibot'
import { Secret } from '../../adapters/contract/index.ts'
import { file, type References } from '../settings/fields.ts'

/** Bytes. Node.js expects a name, an HMAC key and an AES key. */
export const TICKET_KEY_BYTES = 48

/** A file with the keys of TLS session tickets: 48 bytes, raw or as hexadecimal or base64 text. */
export const ticketKeyFile = (references: References) =>
  v.pipe(
    file(references, { holds: 'secret' }),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const keys = parseTicketKeys(dataset.value)
      if (keys !== undefined) return new Secret(keys)
      addIssue({
        message: `names a file that does not hold ${TICKET_KEY_BYTES} bytes, raw, in base64 or in hexadecimal`,
      })
      return NEVER
    }),
  )

function parseTicketKeys(bytes: Buffer): Uint8Array | undefined {
  if (bytes.length === TICKET_KEY_BYTES) return bytes
  const text = bytes.toString('latin1').trim()
  if (/^[0-9A-Fa-f]{96}$/.test(text)) return Buffer.from(text, 'hex')
  // Exactly 48 bytes need no padding.
  return /^[A-Za-z0-9+/_-]{64}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
