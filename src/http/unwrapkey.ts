import type { Route } from './route.ts'
import { decodeValue, valueReply, wrapBody } from './wire.ts'

export const unwrapkey: Route<typeof wrapBody> = {
  operation: 'unwrapkey',
  takesKey: true,
  body: wrapBody,
  async answer(pool, keyName, { alg, value }, { call, record }) {
    record.algorithm = alg
    const ciphertext = decodeValue(value)
    record.payload_bytes = ciphertext.length
    const plaintext = await pool.unwrap(keyName, alg, ciphertext, call)
    try {
      return valueReply(plaintext)
    } finally {
      plaintext.fill(0)
    }
  },
}
