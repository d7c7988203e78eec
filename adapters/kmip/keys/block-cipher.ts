import { randomBytes } from 'node:crypto'
import { wipeableCopy, type CallSignal } from '../../contract/index.ts'
import type { BlockFunction } from '../../key-wrap/index.ts'
import { ResultWrong } from '../errors.ts'
import { crypt, ecb } from '../protocol/crypt.ts'
import type { Requests } from '../transport/requests.ts'
import { coalesced } from './coalesced.ts'

const BLOCK = 16
/**
 * Precedes the blocks of every request, and its result is compared with the known one. There are two reasons. Cosmian's
 * server takes data that begins with 87 87 for a list of values. And the comparison shows that a key was replaced under
 * its identifier.
 */
const GUARD = Buffer.alloc(BLOCK)
/** The bytes that PKCS#5 padding appends to whole blocks. */
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
  /** The results of the guard block in each direction. The first is undefined if the key can only decrypt. */
  readonly encryptedGuard?: Uint8Array
  readonly decryptedGuard: Uint8Array
  /** Takes the place of the padding in a ciphertext, so that a server that insists on removing padding finds some. */
  readonly encryptedPadding: Uint8Array
}

const unexpected = () => new ResultWrong('the server answered an AES block with an unexpected value')

/**
 * Finds out whether the server does plain AES-ECB with this key. It checks that each block is computed independently,
 * that decryption inverts encryption, and that padding has the one known form.
 *
 * @throws KmipRefusal if the server refuses this padding
 * @throws ResultWrong if the server does something other than AES-ECB
 */
export async function qualifyBlockCipher(
  cluster: Requests,
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
  // Whole blocks get a whole block of padding. That block has just been encrypted as data, too.
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
 * The same check for a key that may no longer encrypt. It works only without padding, because the encrypted padding
 * cannot be known. What RFC 3394 and RFC 5649 unwrap with such a key is checked by their own integrity value.
 */
export async function qualifyDecryption(cluster: Requests, id: string, signal: CallSignal): Promise<ServerBlockCipher> {
  const call = (...parts: readonly Uint8Array[]) =>
    cluster.call(crypt('decrypt', id, ecb('None'), Buffer.concat(parts)), signal)
  const [first, second] = [randomBytes(BLOCK), randomBytes(BLOCK)]
  const [decryptedGuard, one, two] = blocksOf(await call(GUARD, first, second), 3)
  if (!decryptedGuard || !one || !two) throw unexpected()
  assertEqual(await call(GUARD, second, first), Buffer.concat([decryptedGuard, two, one]))
  return blockCipher(cluster, id, 'None', { decryptedGuard, encryptedPadding: new Uint8Array(0) })
}

function blockCipher(cluster: Requests, id: string, padding: BlockPadding, constants: Constants): ServerBlockCipher {
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
