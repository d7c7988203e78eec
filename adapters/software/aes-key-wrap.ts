import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'

/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const initialValue = {
  wrap: Buffer.from('a6a6a6a6a6a6a6a6', 'hex'),
  'wrap-pad': Buffer.from('a65959a6', 'hex'),
}

/** `wrap` is RFC 3394 (KW), `wrap-pad` is RFC 5649 (KWP). */
export type AesKeyWrapMode = keyof typeof initialValue

const cipherName = (key: KeyObject, mode: AesKeyWrapMode) => `id-aes${(key.symmetricKeySize ?? 0) * 8}-${mode}`

/** Wraps `plaintext` under an AES key of 16, 24 or 32 bytes. */
export function aesWrap(key: KeyObject, mode: AesKeyWrapMode, plaintext: Uint8Array): Uint8Array {
  // All comes at once: there is nothing left for final() to bring.
  return createCipheriv(cipherName(key, mode), key, initialValue[mode]).update(plaintext)
}

/** Unwraps; `undefined` for a wrong length, padding, integrity value or key. */
export function aesUnwrap(key: KeyObject, mode: AesKeyWrapMode, wrapped: Uint8Array): Uint8Array | undefined {
  // To OpenSSL an empty update is no work, not a failure: it would answer with an empty plaintext.
  if (wrapped.length === 0) return undefined
  const decipher = createDecipheriv(cipherName(key, mode), key, initialValue[mode])
  try {
    return decipher.update(wrapped)
  } catch {
    return undefined
  }
}
