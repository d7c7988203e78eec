import { JOSEError } from 'jose/errors'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { CompactEncrypt } from 'jose/jwe/compact/encrypt'
import type { StoreKey } from './passphrase.ts'

/** What a sealed text belongs to. It is authenticated, so that one file cannot be passed off as another. */
export interface Seal {
  readonly kid: string
  /** As RFC 7517 §7 has it for a key; `text/plain` for the store's own check. */
  readonly cty: 'jwk+json' | 'text/plain'
}

/** Encrypts `payload` as a compact JWE (RFC 7516, `dir` with `A256GCM`) and zeroes it. */
export async function seal(payload: Uint8Array, about: Seal, key: StoreKey): Promise<string> {
  try {
    return await new CompactEncrypt(payload).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', ...about }).encrypt(key)
  } finally {
    payload.fill(0)
  }
}

/** Opens a sealed text. Undefined if it is damaged, was sealed with another key, or belongs to something else. */
export async function unseal(text: string, about: Seal, key: StoreKey): Promise<Uint8Array | undefined> {
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(text.trim(), key, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
    if (protectedHeader.kid === about.kid && protectedHeader.cty === about.cty) return plaintext
    plaintext.fill(0)
    return undefined
  } catch (error) {
    if (error instanceof JOSEError) return undefined
    throw error
  }
}
