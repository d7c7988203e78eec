import type { CallSignal } from '../../contract/index.ts'
import { unwrapAll, wrapAll, type BlockFunction, type KeyWrapMode } from '../../key-wrap/index.ts'
import { invalidCiphertext, refusalError } from '../errors.ts'
import type { Way } from './way.ts'

/** One direction of AES for a caller's signal. */
export interface BlockCipher {
  encrypt(signal: CallSignal): BlockFunction
  decrypt(signal: CallSignal): BlockFunction
}

/**
 * RFC 3394 or RFC 5649 composed in this process from single AES blocks. The integrity check is made here before
 * anything is released.
 */
export const composedWay = (kind: 'composed' | 'exported', mode: KeyWrapMode, cipher: BlockCipher): Way => ({
  kind,
  wrap: async (plaintext, signal) => {
    const [wrapped] = await wrapAll(mode, [plaintext], cipher.encrypt(signal))
    if (wrapped === undefined) throw new Error('the key wrap returned no value')
    return wrapped
  },
  unwrap: async (ciphertext, signal) => {
    const [plaintext] = await unwrapAll(mode, [ciphertext], cipher.decrypt(signal))
    if (plaintext === undefined) throw invalidCiphertext()
    return plaintext
  },
  // A block cipher accepts every input, so a refusal never means a bad ciphertext.
  unwrapAgain: async (_ciphertext, refusal) => {
    throw refusalError(refusal, 'BACKEND_UNAVAILABLE')
  },
})
