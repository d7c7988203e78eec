import { AdapterError, algorithmRow, lengthFits, } from "../../adapters/contract/index.js";
import { RequestInvalid } from "./request-invalid.js";
/**
 * The keys that one Azure Managed HSM may use, and what it may do with them. The operations reject with
 * {@link RequestInvalid} or an {@link AdapterError}.
 */
export class Pool {
    name;
    pathPrefix;
    clients;
    info;
    /** By external key id; empty where the pool has every key of its backend. */
    keys;
    #find;
    #rateLimit;
    constructor({ name, pathPrefix, clients, info, keys, find, rateLimit }) {
        this.name = name;
        this.pathPrefix = pathPrefix;
        this.clients = clients;
        this.info = info;
        this.keys = keys;
        this.#find = find;
        this.#rateLimit = rateLimit;
    }
    async describe(keyName, call) {
        return this.#resolve(keyName).use(call, 'read', (place) => place.describe(call));
    }
    /** The result is the caller's; `plaintext` stays the caller's to zero. */
    async wrap(keyName, algorithm, plaintext, call) {
        return this.#resolve(keyName).use(call, 'wrap', async (place) => {
            const { bits } = await describedFor(algorithm, place, call);
            const rule = algorithmRow(algorithm).plaintext(bits);
            if (!lengthFits(rule, plaintext.length)) {
                const message = `value has ${plaintext.length} bytes, but ${algorithm} under this key ${allowed(rule)}`;
                throw new RequestInvalid(message);
            }
            return place.wrap(algorithm, plaintext, call);
        });
    }
    /** The result is a data key and the caller's to zero. */
    async unwrap(keyName, algorithm, ciphertext, call) {
        return this.#resolve(keyName).use(call, 'unwrap', async (place) => {
            const { kty, bits } = await describedFor(algorithm, place, call);
            // The one length that may be told apart: it follows from the public modulus, and not from the ciphertext's inside.
            if (kty === 'RSA' && ciphertext.length !== bits / 8) {
                throw new RequestInvalid(`value has ${ciphertext.length} bytes, but a value wrapped under this key has exactly ${bits / 8} bytes`);
            }
            return place.unwrap(algorithm, ciphertext, call);
        });
    }
    #resolve(keyName) {
        this.#rateLimit?.take();
        const key = this.keys.get(keyName) ?? this.#find?.(keyName);
        if (key === undefined)
            throw new AdapterError('KEY_NOT_FOUND', `the pool ${this.name} lists no key ${keyName}`);
        return key;
    }
}
async function describedFor(algorithm, place, call) {
    const description = await place.recall(call);
    const { kty } = algorithmRow(algorithm);
    if (kty === description.kty)
        return description;
    throw new RequestInvalid(`alg ${algorithm} needs a key of type ${kty}, but this key is of type ${description.kty}`);
}
function allowed({ min, max, multipleOf }) {
    const range = max === Infinity ? `takes at least ${min} bytes` : `takes ${min} to ${max} bytes`;
    return multipleOf === 1 ? range : `${range}, in multiples of ${multipleOf}`;
}
