import { encodeBase64url } from './base64url.ts'
import type { Route } from './route.ts'
import { contextBody } from './wire.ts'

/** Called when an external key is registered in Azure. */
export const metadata: Route<typeof contextBody> = {
  operation: 'metadata',
  takesKey: true,
  body: contextBody,
  async answer(pool, keyName, _body, { call }) {
    const key = await pool.describe(keyName, call)
    return JSON.stringify({
      key_type: key.kty,
      key_size: key.bits,
      key_ops: ['wrapKey', 'unwrapKey'],
      ...(key.kty === 'RSA' && { n: encodeBase64url(key.n), e: encodeBase64url(key.e) }),
    })
  },
}
