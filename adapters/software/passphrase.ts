import { randomBytes, scrypt, subtle, type ScryptOptions, type webcrypto } from 'node:crypto'
import { promisify } from 'node:util'
import { OperatorError, type Secret } from '../contract/index.ts'

/** scrypt's cost (RFC 7914 §2): about 128·N·r bytes of memory, once per store. */
export interface ScryptCost {
  readonly N: number
  readonly r: number
  readonly p: number
}

/** 128 MiB and a third of a second: OWASP's first choice for scrypt. */
export const defaultCost: ScryptCost = { N: 2 ** 17, r: 8, p: 1 }

/** The key that encrypts every key file of one store: AES-256-GCM, not extractable. */
export type StoreKey = webcrypto.CryptoKey

export const newSalt = (): Uint8Array => randomBytes(32)

/** A cost that a foreign or damaged header may name without hurting this process: 1 GiB and some seconds at the most. */
export const isSaneCost = ({ N, r, p }: ScryptCost): boolean =>
  Number.isInteger(Math.log2(N)) && N >= 2 ** 14 && r >= 1 && p >= 1 && N * r * p <= 2 ** 23

const scryptAsync: (
  passphrase: Uint8Array,
  salt: Uint8Array,
  length: number,
  options: ScryptOptions,
) => Promise<Buffer<ArrayBuffer>> = promisify(scrypt)

/** Stretches `passphrase` into the store's key, away from the main thread. */
export async function stretch(passphrase: Secret, salt: Uint8Array, cost: ScryptCost): Promise<StoreKey> {
  const secret = passphrase.reveal()
  try {
    if (secret.length === 0) throw new OperatorError('PASSPHRASE_EMPTY', 'the passphrase of the key store is empty')
    const stretched = await scryptAsync(secret, salt, 32, { ...cost, maxmem: 2 * 128 * cost.N * cost.r * cost.p })
    try {
      return await subtle.importKey('raw', stretched, 'AES-GCM', false, ['encrypt', 'decrypt'])
    } finally {
      stretched.fill(0)
    }
  } finally {
    secret.fill(0)
  }
}
