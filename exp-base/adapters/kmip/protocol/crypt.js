import { byteString, child, enumeration, structure, textString } from "../../ttlv-codec/src/index.js";
import { algorithm, blockCipherMode, hashingAlgorithm, MASK_GENERATOR_MGF1, operation, paddingMethod, tag, } from "./numbers.js";
import { assertId } from "./objects.js";
import { ReplyMismatch } from "./operation.js";
export const ecb = (padding) => () => structure(tag.CryptographicParameters, [
    enumeration(tag.BlockCipherMode, blockCipherMode.ECB),
    enumeration(tag.PaddingMethod, paddingMethod[padding]),
    enumeration(tag.CryptographicAlgorithm, algorithm.AES),
]);
/** RFC 3394 is NISTKeyWrap, RFC 5649 is AESKeyWrapPadding. */
export const keyWrap = (mode) => () => structure(tag.CryptographicParameters, [
    enumeration(tag.BlockCipherMode, blockCipherMode[mode]),
    enumeration(tag.CryptographicAlgorithm, algorithm.AES),
]);
/** MGF1 with the same hash. It is stated wherever it can be, from 1.4 on: the default differs between servers. */
export const oaep = (hash) => (version) => structure(tag.CryptographicParameters, [
    enumeration(tag.PaddingMethod, paddingMethod.OAEP),
    enumeration(tag.HashingAlgorithm, hashingAlgorithm[hash]),
    enumeration(tag.CryptographicAlgorithm, algorithm.RSA),
    ...(version === '1.2' || version === '1.3'
        ? []
        : [
            enumeration(tag.MaskGenerator, MASK_GENERATOR_MGF1),
            enumeration(tag.MaskGeneratorHashingAlgorithm, hashingAlgorithm[hash]),
        ]),
]);
/**
 * Encrypt or Decrypt (KMIP 1.4 §4.29, §4.30). The result is a copy, the caller's to zero; `data` must not change until it
 * was sent.
 */
export const crypt = (direction, id, parameters, data) => ({
    code: direction === 'encrypt' ? operation.Encrypt : operation.Decrypt,
    repeatable: true,
    payload: (version) => [textString(tag.UniqueIdentifier, id), parameters(version), byteString(tag.Data, data)],
    read: (payload) => {
        assertId(payload, id);
        const result = child(payload, tag.Data, 'ByteString')?.value;
        if (result === undefined)
            throw new ReplyMismatch('an answer without data');
        return Uint8Array.from(result);
    },
});
