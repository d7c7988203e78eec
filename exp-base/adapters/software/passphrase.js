import { randomBytes, scrypt, subtle } from 'node:crypto';
import { promisify } from 'node:util';
import { OperatorError } from "../contract/index.js";
/** 128 MiB and a third of a second: OWASP's first choice for scrypt. */
export const defaultCost = { N: 2 ** 17, r: 8, p: 1 };
export const newSalt = () => randomBytes(32);
/** A cost that a foreign or damaged header may name without hurting this process: 1 GiB and some seconds at the most. */
export const isSaneCost = ({ N, r, p }) => Number.isInteger(Math.log2(N)) && N >= 2 ** 14 && r >= 1 && p >= 1 && N * r * p <= 2 ** 23;
const scryptAsync = promisify(scrypt);
/** Stretches `passphrase` into the store's key, away from the main thread. */
export async function stretch(passphrase, salt, cost) {
    const secret = passphrase.reveal();
    try {
        if (secret.length === 0)
            throw new OperatorError('PASSPHRASE_EMPTY', 'the passphrase of the key store is empty');
        const stretched = await scryptAsync(secret, salt, 32, { ...cost, maxmem: 2 * 128 * cost.N * cost.r * cost.p });
        try {
            return await subtle.importKey('raw', stretched, 'AES-GCM', false, ['encrypt', 'decrypt']);
        }
        finally {
            stretched.fill(0);
        }
    }
    finally {
        secret.fill(0);
    }
}
