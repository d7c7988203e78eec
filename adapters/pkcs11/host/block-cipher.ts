import type { Handle, Mechanism } from 'pkcs11js'
import { asBuffer, wipeable } from '../../contract/index.ts'
import type { BlockFunction } from '../../key-wrap/index.ts'
import { CKM } from '../cryptoki/numbers.ts'
import type { Direction } from '../cryptoki/way.ts'
import { operationOf, type Operation } from './operation.ts'
import type { Token } from './token.ts'

const BLOCK = 16

/** The token held a block back in C_EncryptUpdate, as PKCS#11 allows. */
class BlockHeldBack extends Error {}

/** Mechanisms whose Update calls hold blocks back on this token. Each is tried once. */
const heldBack = new Set<number>()

/**
 * Runs `work` with AES blocks of the token.
 *
 * ECB is one operation with an Update call for each step. On SoftHSM that takes an eighth of the time of Init and
 * C_Encrypt. If the token holds blocks back, `work` runs again with a whole operation for each step. So `work` must
 * have no effect but its result.
 */
export async function withBlocks<Result>(
  token: Token,
  key: Handle,
  mechanism: number,
  direction: Direction,
  work: (blocks: BlockFunction) => Promise<Result>,
): Promise<Result> {
  const operation = operationOf(token, direction)
  if (mechanism === CKM.AES_CBC) return work((blocks) => cbcBlocks(operation, key, blocks))
  if (!heldBack.has(mechanism)) {
    try {
      return await oneOperation(operation, key, { mechanism }, work)
    } catch (error) {
      if (!(error instanceof BlockHeldBack)) throw error
      heldBack.add(mechanism)
    }
  }
  return work((blocks) => {
    operation.init({ mechanism }, key)
    return operation.once(asBuffer(blocks), Buffer.alloc(blocks.length))
  })
}

async function oneOperation<Result>(
  operation: Operation,
  key: Handle,
  mechanism: Mechanism,
  work: (blocks: BlockFunction) => Promise<Result>,
): Promise<Result> {
  operation.init(mechanism, key)
  try {
    return await work((blocks) => {
      const result = operation.update(asBuffer(blocks), Buffer.alloc(blocks.length))
      if (result.length !== blocks.length) throw new BlockHeldBack()
      return result
    })
  } finally {
    operation.end()
  }
}

/** CBC under a zero IV, one block for each operation. The XOR with a zero IV changes nothing. */
function cbcBlocks(operation: Operation, key: Handle, blocks: Uint8Array): Uint8Array {
  const result = wipeable(blocks.length)
  for (let at = 0; at < blocks.length; at += BLOCK) {
    operation.init({ mechanism: CKM.AES_CBC, parameter: Buffer.alloc(BLOCK) }, key)
    const block = operation.once(asBuffer(blocks.subarray(at, at + BLOCK)), Buffer.alloc(BLOCK))
    result.set(block, at)
    block.fill(0)
  }
  return result
}
