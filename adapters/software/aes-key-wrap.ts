import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type Cipher,
  type Decipher,
  type KeyObject,
} from 'node:crypto'

/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const initialValue = {
  wrap: Buffer.from('a6a6a6a6a6a6a6a6', 'hex'),
  'wrap-pad': Buffer.from('a65959a6', 'hex'),
}

/** `wrap` is RFC 3394 (KW), `wrap-pad` is RFC 5649 (KWP). */
export type AesKeyWrapMode = keyof typeof initialValue

const cipherName = (key: KeyObject, mode: AesKeyWrapMode) => `id-aes${(key.symmetricKeySize ?? 0) * 8}-${mode}`
const newCipher = (key: KeyObject, mode: AesKeyWrapMode) =>
  createCipheriv(cipherName(key, mode), key, initialValue[mode])
const newDecipher = (key: KeyObject, mode: AesKeyWrapMode) =>
  createDecipheriv(cipherName(key, mode), key, initialValue[mode])

/** AES key wrap under one key of 16, 24 or 32 bytes. To make a cipher takes as long as to use it, so that they are kept. */
export class AesKeyWrap {
  readonly #key: KeyObject
  readonly #ciphers: Partial<Record<AesKeyWrapMode, Cipher>> = {}
  readonly #deciphers: Partial<Record<AesKeyWrapMode, Decipher>> = {}

  constructor(key: KeyObject) {
    this.#key = key
  }

  wrap(mode: AesKeyWrapMode, plaintext: Uint8Array): Uint8Array {
    const cipher = this.#ciphers[mode] ?? newCipher(this.#key, mode)
    if (canBeKept) this.#ciphers[mode] = cipher
    // All comes at once: there is nothing left for final() to bring.
    return cipher.update(plaintext)
  }

  /** `undefined` for a wrong length, padding, integrity value or key. */
  unwrap(mode: AesKeyWrapMode, wrapped: Uint8Array): Uint8Array | undefined {
    // To OpenSSL an empty update is no work, not a failure: it would answer with an empty plaintext.
    if (wrapped.length === 0) return undefined
    const decipher = this.#deciphers[mode] ?? newDecipher(this.#key, mode)
    if (canBeKept) this.#deciphers[mode] = decipher
    try {
      return decipher.update(wrapped)
    } catch {
      return undefined
    }
  }
}

/**
 * Whether a cipher does with each value what it did with the first, as if there had been none before it, refused or not.
 * OpenSSL's ciphers for key wrap do, up to 3.5 at least; it is nowhere written that they must.
 */
export function beginsAnew(cipher: Cipher | Decipher, value: Uint8Array): boolean {
  const other = Uint8Array.from(value, (byte) => byte ^ 1)
  const outcomeOf = (bytes: Uint8Array) => {
    try {
      return cipher.update(bytes).toString('hex')
    } catch {
      return ''
    }
  }
  const first = outcomeOf(value)
  const second = outcomeOf(other)
  return first !== '' && outcomeOf(value) === first && outcomeOf(other) === second
}

const canBeKept = (['wrap', 'wrap-pad'] as const).every((mode) => {
  const key = createSecretKey(Buffer.alloc(32))
  const value = Buffer.alloc(16)
  return (
    beginsAnew(newCipher(key, mode), value) && beginsAnew(newDecipher(key, mode), newCipher(key, mode).update(value))
  )
})
