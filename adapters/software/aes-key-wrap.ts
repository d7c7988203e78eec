import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'

/** RFC 3394 §2.2.3.1 and RFC 5649 §3. */
const initialValue = {
  wrap: Buffer.from('a6a6a6a6a6a6a6a6', 'hex'),
  'wrap-pad': Buffer.from('a65959a6', 'hex'),
}

/** `wrap` is RFC 3394 (KW), `wrap-pad` is RFC 5649 (KWP). */
export type AesKeyWrapMode = keyof typeof initialValue

/**
 * AES key wrap under one key of 16, 24 or 32 bytes. Each call creates its own cipher: OpenSSL promises no second
 * update, and Node.js 26 refuses it. The key is a KeyObject, because Node.js 24 then creates a cipher in a third of the
 * time.
 */
export class AesKeyWrap {
  readonly #key: KeyObject
  readonly #names: Readonly<Record<AesKeyWrapMode, string>>

  constructor(key: KeyObject) {
    const bits = (key.symmetricKeySize ?? 0) * 8
    this.#key = key
    this.#names = { wrap: `id-aes${bits}-wrap`, 'wrap-pad': `id-aes${bits}-wrap-pad` }
  }

  wrap(mode: AesKeyWrapMode, plaintext: Uint8Array): Uint8Array {
    // update() returns the whole result, and final() adds nothing.
    return createCipheriv(this.#names[mode], this.#key, initialValue[mode]).update(plaintext)
  }

  /** Undefined for a wrong length, padding, integrity value or key. */
  unwrap(mode: AesKeyWrapMode, wrapped: Uint8Array): Uint8Array | undefined {
    // OpenSSL does not fail on an empty update: it would return an empty plaintext.
    if (wrapped.length === 0) return undefined
    const decipher = createDecipheriv(this.#names[mode], this.#key, initialValue[mode])
    try {
      return decipher.update(wrapped)
    } catch {
      return undefined
    }
  }
}
