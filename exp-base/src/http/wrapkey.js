import { encodeBase64url } from "./base64url.js";
import { decodeValue, wrapBody } from "./wire.js";
export const wrapkey = {
    operation: 'wrapkey',
    takesKey: true,
    body: wrapBody,
    async answer(pool, keyName, { alg, value }, { call, record }) {
        record.algorithm = alg;
        const plaintext = decodeValue(value);
        record.payload_bytes = plaintext.length;
        try {
            return { value: encodeBase64url(await pool.wrap(keyName, alg, plaintext, call)) };
        }
        finally {
            plaintext.fill(0);
        }
    },
};
