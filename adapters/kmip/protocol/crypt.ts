import { wipeableCopy } from '../../contract/index.ts'
import { byteString, child, enumeration, structure, textString, type Item } from '../../ttlv-codec/src/index.ts'
import {
  algorithm,
  blockCipherMode,
  hashingAlgorithm,
  MASK_GENERATOR_MGF1,
  operation,
  paddingMethod,
  tag,
} from './numbers.ts'
import { assertId } from './objects.ts'
import { ReplyMismatch, type KmipOperation } from './operation.ts'
import type { KmipVersion } from './version.ts'

/** Cryptographic Parameters are always sent, because servers assume different defaults (KMIP 1.4 §3.6). */
export type CryptographicParameters = (version: KmipVersion) => Item

export const ecb =
  (padding: 'None' | 'PKCS5'): CryptographicParameters =>
  () =>
    structure(tag.CryptographicParameters, [
      enumeration(tag.BlockCipherMode, blockCipherMode.ECB),
      enumeration(tag.PaddingMethod, paddingMethod[padding]),
      enumeration(tag.CryptographicAlgorithm, algorithm.AES),
    ])

/** RFC 3394 is NISTKeyWrap, RFC 5649 is AESKeyWrapPadding. */
export const keyWrap =
  (mode: 'NISTKeyWrap' | 'AESKeyWrapPadding'): CryptographicParameters =>
  () =>
    structure(tag.CryptographicParameters, [
      enumeration(tag.BlockCipherMode, blockCipherMode[mode]),
      enumeration(tag.CryptographicAlgorithm, algorithm.AES),
    ])

/**
 * OAEP with the same hash in MGF1. From KMIP 1.4 on the hash of MGF1 is stated, because servers have different
 * defaults.
 */
export const oaep =
  (hash: keyof typeof hashingAlgorithm): CryptographicParameters =>
  (version) =>
    structure(tag.CryptographicParameters, [
      enumeration(tag.PaddingMethod, paddingMethod.OAEP),
      enumeration(tag.HashingAlgorithm, hashingAlgorithm[hash]),
      enumeration(tag.CryptographicAlgorithm, algorithm.RSA),
      ...(version === '1.2' || version === '1.3'
        ? []
        : [
            enumeration(tag.MaskGenerator, MASK_GENERATOR_MGF1),
            enumeration(tag.MaskGeneratorHashingAlgorithm, hashingAlgorithm[hash]),
          ]),
    ])

/**
 * Encrypt or Decrypt (KMIP 1.4 §4.29, §4.30). The result is a copy that the caller zeroes. `data` must not change
 * before it is sent.
 */
export const crypt = (
  direction: 'encrypt' | 'decrypt',
  id: string,
  parameters: CryptographicParameters,
  data: Uint8Array,
): KmipOperation<Uint8Array> => ({
  code: direction === 'encrypt' ? operation.Encrypt : operation.Decrypt,
  repeatable: true,
  object: id,
  payload: (version) => [textString(tag.UniqueIdentifier, id), parameters(version), byteString(tag.Data, data)],
  read: (payload) => {
    assertId(payload, id)
    const result = child(payload, tag.Data, 'ByteString')?.value
    if (result === undefined) throw new ReplyMismatch('an answer without data')
    return wipeableCopy(result)
  },
})
