import { unwrapAll, wrapAll } from "../../key-wrap/index.js";
import { invalidCiphertext, refusalError } from "../errors.js";
/** RFC 3394 or RFC 5649 made here out of single AES blocks. The integrity check is made here too, before anything is released. */
export const composedWay = (kind, mode, cipher) => ({
    kind,
    wrap: async (plaintext, signal) => {
        const [wrapped] = await wrapAll(mode, [plaintext], cipher.encrypt(signal));
        if (wrapped === undefined)
            throw new Error('one value in, none out');
        return wrapped;
    },
    unwrap: async (ciphertext, signal) => {
        const [plaintext] = await unwrapAll(mode, [ciphertext], cipher.decrypt(signal));
        if (plaintext === undefined)
            throw invalidCiphertext();
        return plaintext;
    },
    // A block cipher has no bad input, so that no refusal of it is a bad ciphertext.
    unwrapAgain: async (_ciphertext, refusal) => {
        throw refusalError(refusal, 'BACKEND_UNAVAILABLE');
    },
});
