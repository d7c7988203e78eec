import type { Route } from './route.ts'
import { decodeValue, valueReply, wrapBody } from './wire.ts'

export const wrapkey: Route<typeof wrapBody> = {
  operation: 'wrapkey',
  takesKey: true,
  body: wrapBody,
  async answer(pool, keyName, { alg, value }, { call, record }) {
    record.algorithm = alg
    const plaintext = decodeValue(value)
    record.payload_bytes = plaintext.length
    try {
      return valueReply(await pool.wrap(keyName, alg, plaintext, call))
    } finally {
      plaintext.fill(0)
    }
  },
}
