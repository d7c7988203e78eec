import { oaepDecode, unwrapAll, wrapAll } from "../../key-wrap/index.js";
import { CKA, CKG, CKK, CKM, CKO } from "../cryptoki.js";
import { withBlocks } from "./block-cipher.js";
import { isCkrError } from "./ckr.js";
/** CKZ_DATA_SPECIFIED, and the kind of parameter that pkcs11js calls CK_PARAMS_RSA_OAEP. */
const OAEP_SOURCE_DATA = 1;
const OAEP_PARAMETERS = 4;
/** More than any wrapping adds. */
const SPARE_BYTES = 64;
/**
 * Wraps or unwraps `values` with one key. Only {@link Way.path | blocks} takes several in one go. Throws what the module
 * answered, unless it is this process that finds a ciphertext wrong.
 */
export async function crypt(token, key, way, direction, values) {
    const { path } = way;
    if (path === 'blocks')
        return blocks(token, key, way, direction, values);
    return values.map((value) => {
        const input = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
        switch (path) {
            case 'encrypt':
                return direction === 'wrap' ? encrypt(token, key, way, input) : decrypt(token, key, mechanismOf(way), input);
            case 'wrap-key':
                return direction === 'wrap' ? wrapKey(token, key, way, input) : unwrapKey(token, key, way, input);
            case 'raw-rsa':
                return rawRsa(token, key, way, input);
        }
    });
}
async function blocks(token, key, { mechanism, scheme }, direction, values) {
    if (scheme !== 'KW' && scheme !== 'KWP')
        throw new RangeError('no such way');
    return withBlocks(token, key, mechanism, direction, (cipher) => direction === 'wrap' ? wrapAll(scheme, values, cipher) : unwrapAll(scheme, values, cipher));
}
function mechanismOf({ mechanism, scheme }) {
    if (scheme !== 'SHA-1' && scheme !== 'SHA-256')
        return { mechanism };
    const [hashAlg, mgf] = scheme === 'SHA-1' ? [CKM.SHA_1, CKG.MGF1_SHA1] : [CKM.SHA256, CKG.MGF1_SHA256];
    const parameter = { type: OAEP_PARAMETERS, hashAlg, mgf, source: OAEP_SOURCE_DATA };
    return { mechanism, parameter };
}
function encrypt({ module, session }, key, way, input) {
    module.C_EncryptInit(session, mechanismOf(way), key);
    return module.C_Encrypt(session, input, Buffer.alloc(input.length + SPARE_BYTES));
}
function decrypt({ module, session }, key, mechanism, input) {
    module.C_DecryptInit(session, mechanism, key);
    return module.C_Decrypt(session, input, Buffer.alloc(input.length + SPARE_BYTES));
}
/** A data key while it passes through the token: a session object of no further use. */
const dataKey = [
    { type: CKA.CLASS, value: CKO.SECRET_KEY },
    { type: CKA.KEY_TYPE, value: CKK.GENERIC_SECRET },
    { type: CKA.TOKEN, value: false },
    { type: CKA.SENSITIVE, value: false },
    { type: CKA.EXTRACTABLE, value: true },
];
function wrapKey(token, key, way, input) {
    const { module, session } = token;
    const object = module.C_CreateObject(session, [...dataKey, { type: CKA.VALUE, value: input }]);
    try {
        return module.C_WrapKey(session, mechanismOf(way), key, object, Buffer.alloc(input.length + SPARE_BYTES));
    }
    finally {
        destroyQuietly(token, object);
    }
}
function unwrapKey(token, key, way, input) {
    const { module, session } = token;
    const object = module.C_UnwrapKey(session, mechanismOf(way), key, input, dataKey);
    try {
        const [attribute] = module.C_GetAttributeValue(session, object, [{ type: CKA.VALUE }]);
        if (!Buffer.isBuffer(attribute?.value))
            throw new TypeError('the token gave no value of the unwrapped key');
        return attribute.value;
    }
    finally {
        destroyQuietly(token, object);
    }
}
/** The result of the call in hand counts; an object that could not be destroyed goes with its session. */
function destroyQuietly({ module, session }, object) {
    try {
        module.C_DestroyObject(session, object);
    }
    catch (error) {
        if (!isCkrError(error))
            throw error;
    }
}
function rawRsa(token, key, { mechanism, scheme }, input) {
    if (scheme !== 'SHA-1' && scheme !== 'SHA-256')
        throw new RangeError('no such way');
    const raw = decrypt(token, key, { mechanism }, input);
    if (raw.length > input.length)
        throw new RangeError('the token gave more bytes than the modulus has');
    // Some tokens drop leading zeros, of which every encoded message has at least one.
    const encoded = new Uint8Array(input.length);
    encoded.set(raw, input.length - raw.length);
    raw.fill(0);
    return oaepDecode(encoded, scheme);
}
