import { randomBytes } from 'node:crypto'
import { crypt, ecb } from '../../adapters/kmip/protocol/crypt.ts'
import type { KmipCluster } from '../../adapters/kmip/transport/cluster.ts'

/** RFC 3394 section 2.2.1: six rounds over the four semiblocks of 32 bytes, each with the result of the one before. */
const BLOCKS = 24

/** Milliseconds that the server takes for the bare exchanges of a 32-byte wrap in sequence. */
export async function exchangeBlocks(cluster: KmipCluster, keyId: string): Promise<number> {
  // One request for the block, and one for the block that guards it.
  const encrypt = crypt('encrypt', keyId, ecb('PKCS5'), randomBytes(32))
  const start = performance.now()
  for (let block = 0; block < BLOCKS; block++) await cluster.call(encrypt, AbortSignal.timeout(30_000))
  return performance.now() - start
}
