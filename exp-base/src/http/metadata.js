import { encodeBase64url } from "./base64url.js";
import { contextBody } from "./wire.js";
/** Asked when an external key is registered in Azure. */
export const metadata = {
    operation: 'metadata',
    takesKey: true,
    body: contextBody,
    async answer(pool, keyName, _body, { call }) {
        const key = await pool.describe(keyName, call);
        return {
            key_type: key.kty,
            key_size: key.bits,
            key_ops: ['wrapKey', 'unwrapKey'],
            ...(key.kty === 'RSA' && { n: encodeBase64url(key.n), e: encodeBase64url(key.e) }),
        };
    },
};
