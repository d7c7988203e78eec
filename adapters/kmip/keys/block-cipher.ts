import { randomBytes } from 'node:crypto'
import { wipeableCopy, type CallSignal } from '../../contract/index.ts'
import type { BlockFunction } from '../../key-wrap/index.ts'
import { ResultWrong } from '../errors.ts'
import { crypt, ecb } from '../protocol/crypt.ts'
import type { KmipCluster } from '../transport/cluster.ts'
import { coalesced } from './coalesced.ts'

const BLOCK = 16
/**
 * Goes before the blocks of every request, and its result is compared. Cosmian's server takes data that begins with 87 87
 * for a list of values; and a key that was replaced under its identifier shows here.
 */
const GUARD = Buffer.alloc(BLOCK)
/** What PKCS#5 padding appends to whole blocks. */
const PADDING = Buffer.alloc(BLOCK, BLOCK)
const MAX_BYTES = 16_384

export type BlockPadding = 'None' | 'PKCS5'

/** AES in ECB mode under a key that stays on the server. */
export interface ServerBlockCipher {
  readonly padding: BlockPadding
  encrypt(signal: CallSignal): BlockFunction
  decrypt(signal: CallSignal): BlockFunction
}

interface Constants {
  /** The results of the guard block in each direction; the first is absent where only decryption is possible. */
  readonly encryptedGuard?: Uint8Array
  readonly decryptedGuard: Uint8Array
  /** What stands in for the padding of a ciphertext, so that a server that insists on removing it can. */
  readonly encryptedPadding: Uint8Array
}

const unexpected = () => new ResultWrong('the server answered an AES block with something else')

/**
 * Finds out whether the server does plain AES-ECB with this key, and checks that it is that: each block for itself,
 * whatever stands before it; decryption the inverse of encryption; padding of the one known form. Rejects with
 * KmipRefusal if the server refuses this padding, and with {@link ResultWrong} if it does something else.
 */
export async function qualifyBlockCipher(
  cluster: KmipCluster,
  id: string,
  padding: BlockPadding,
  signal: CallSignal,
): Promise<ServerBlockCipher> {
  const call = (direction: 'encrypt' | 'decrypt', ...parts: readonly Uint8Array[]) =>
    cluster.call(crypt(direction, id, ecb(padding), Buffer.concat(parts)), signal)
  const [first, second] = [randomBytes(BLOCK), randomBytes(BLOCK)]

  const encrypted = await call('encrypt', GUARD, first, second, PADDING)
  const [encryptedGuard, one, two, encryptedPadding, extra] = blocksOf(encrypted, padding === 'None' ? 4 : 5)
  if (!one || !two || !encryptedGuard || !encryptedPadding) throw unexpected()
  // Whole blocks get a whole block of padding, which has just been encrypted as data too.
  if (padding === 'PKCS5') assertEqual(extra, encryptedPadding)
  const tail = padding === 'None' ? new Uint8Array(0) : encryptedPadding
  const swapped = await call('encrypt', GUARD, second, first)
  assertEqual(swapped.subarray(0, 3 * BLOCK), Buffer.concat([encryptedGuard, two, one]))
  assertEqual(await call('decrypt', two, one, encryptedGuard, tail), Buffer.concat([second, first, GUARD]))
  const decryptedGuard = await call('decrypt', GUARD, tail)
  if (decryptedGuard.length !== BLOCK) throw unexpected()
  return blockCipher(cluster, id, padding, { encryptedGuard, decryptedGuard, encryptedPadding })
}

/**
 * The same for a key that may not encrypt any more. Only without padding: what padding encrypts to cannot be known then.
 * What RFC 3394 and RFC 5649 unwrap with it is checked by their own integrity value.
 */
export async function qualifyDecryption(
  cluster: KmipCluster,
  id: string,
  signal: CallSignal,
): Promise<ServerBlockCipher> {
  const call = (...parts: readonly Uint8Array[]) =>
    cluster.call(crypt('decrypt', id, ecb('None'), Buffer.concat(parts)), signal)
  const [first, second] = [randomBytes(BLOCK), randomBytes(BLOCK)]
  const [decryptedGuard, one, two] = blocksOf(await call(GUARD, first, second), 3)
  if (!decryptedGuard || !one || !two) throw unexpected()
  assertEqual(await call(GUARD, second, first), Buffer.concat([decryptedGuard, two, one]))
  return blockCipher(cluster, id, 'None', { decryptedGuard, encryptedPadding: new Uint8Array(0) })
}

function blockCipher(cluster: KmipCluster, id: string, padding: BlockPadding, constants: Constants): ServerBlockCipher {
  const { encryptedGuard, decryptedGuard, encryptedPadding } = constants
  const tail = padding === 'None' ? new Uint8Array(0) : encryptedPadding
  const request = async (direction: 'encrypt' | 'decrypt', blocks: Uint8Array, signal: CallSignal) => {
    const data = Buffer.concat([GUARD, blocks, ...(direction === 'decrypt' ? [tail] : [])])
    try {
      const operation = crypt(direction, id, ecb(padding), data)
      const result = await cluster.call(operation, signal)
      const paddingBytes = direction === 'encrypt' && padding === 'PKCS5' ? BLOCK : 0
      if (result.length !== BLOCK + blocks.length + paddingBytes) throw unexpected()
      assertEqual(result.subarray(0, BLOCK), direction === 'encrypt' ? encryptedGuard : decryptedGuard)
      return result.subarray(BLOCK, BLOCK + blocks.length)
    } finally {
      data.fill(0)
    }
  }
  const encrypt = coalesced((blocks, signal) => request('encrypt', blocks, signal), MAX_BYTES)
  const decrypt = coalesced((blocks, signal) => request('decrypt', blocks, signal), MAX_BYTES)
  return {
    padding,
    encrypt: (signal) => (blocks) => encrypt(blocks, signal),
    decrypt: (signal) => (blocks) => decrypt(blocks, signal),
  }
}

function blocksOf(bytes: Uint8Array, count: number): Uint8Array[] {
  if (bytes.length !== count * BLOCK) throw unexpected()
  return Array.from({ length: count }, (_, index) => wipeableCopy(bytes.subarray(index * BLOCK, (index + 1) * BLOCK)))
}

function assertEqual(actual: Uint8Array | undefined, expected: Uint8Array | undefined): void {
  if (actual === undefined || expected === undefined || Buffer.compare(actual, expected) !== 0) throw unexpected()
}
