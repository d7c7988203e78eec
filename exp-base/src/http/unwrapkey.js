import { encodeBase64url } from "./base64url.js";
import { decodeValue, wrapBody } from "./wire.js";
export const unwrapkey = {
    operation: 'unwrapkey',
    takesKey: true,
    body: wrapBody,
    async answer(pool, keyName, { alg, value }, { call, record }) {
        record.algorithm = alg;
        const ciphertext = decodeValue(value);
        record.payload_bytes = ciphertext.length;
        const plaintext = await pool.unwrap(keyName, alg, ciphertext, call);
        try {
            return { value: encodeBase64url(plaintext) };
        }
        finally {
            plaintext.fill(0);
        }
    },
};
