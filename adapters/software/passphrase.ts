import { randomBytes, scrypt, subtle, type ScryptOptions, type webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import { OperatorError, systemCode, type Secret } from '../contract/index.ts'

/** scrypt's cost (RFC 7914 §2). It takes about 128·N·r bytes of memory, once for each store. */
export interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** 128 MiB and a third of a second. OWASP lists this setting first for scrypt. */
export const defaultCost: ScryptCost = { N: 2 ** 17, r: 8, p: 1 }

/** The key that encrypts every key file of one store: AES-256-GCM, not extractable. */
export type StoreKey = webcrypto.CryptoKey

export const newSalt = (): Uint8Array => randomBytes(32)

/**
 * Whether a header's cost is harmless: at most 1 GiB and some seconds. A foreign or damaged header may name any cost.
 */
export const isSaneCost = ({ N, r, p }: ScryptCost): boolean =>
  Number.isInteger(Math.log2(N)) && N >= 2 ** 14 && r >= 1 && p >= 1 && N * r * p <= 2 ** 23

const scryptAsync: (
  passphrase: Uint8Array,
  salt: Uint8Array,
  length: number,
  options: ScryptOptions,
) => Promise<Buffer<ArrayBuffer>> = promisify(scrypt)

/**
 * Derives the store's key from `passphrase`, off the main thread.
 * @param cost one that {@link isSaneCost}
 * @throws OperatorError if the passphrase is empty, or OpenSSL does not do scrypt
 */
export async function stretch(passphrase: Secret, salt: Uint8Array, cost: ScryptCost): Promise<StoreKey> {
  const secret = passphrase.reveal()
  try {
    if (secret.length === 0) throw new OperatorError('PASSPHRASE_EMPTY', 'the passphrase of the key store is empty')
    const stretched = await scryptAsync(secret, salt, 32, {
      ...cost,
      maxmem: 2 * 128 * cost.N * cost.r * cost.p,
    }).catch((error: unknown) => {
      throw systemCode(error) === 'ERR_CRYPTO_INVALID_SCRYPT_PARAMS' ? noScrypt() : error
    })
    try {
      return await subtle.importKey('raw', stretched, 'AES-GCM', false, ['encrypt', 'decrypt'])
    } finally {
      stretched.fill(0)
    }
  } finally {
    secret.fill(0)
  }
}

/** Node.js finds the parameters invalid if OpenSSL does not take them. It takes every sane cost, unless it has no scrypt. */
const noScrypt = (): OperatorError =>
  new OperatorError(
    'SCRYPT_UNAVAILABLE',
    "the OpenSSL of this Node.js has no scrypt, which a key store needs: OpenSSL's FIPS provider leaves it out; run the " +
      'gateway without that provider, or keep the keys in an HSM or a key manager (kind pkcs11 or kmip)',
  )
