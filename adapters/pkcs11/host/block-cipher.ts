import type { Handle, Mechanism } from 'pkcs11js'
import { asBuffer, wipeable } from '../../contract/index.ts'
import type { BlockFunction } from '../../key-wrap/index.ts'
import { CKM } from '../cryptoki.ts'
import type { Direction } from '../way.ts'
import { isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

const BLOCK = 16

/** The token kept a block back in C_EncryptUpdate, as PKCS#11 lets it. */
class BlockHeldBack extends Error {}

/** Mechanisms whose Update calls cannot be used on this token; found out once. */
const heldBack = new Set<number>()

/**
 * Runs `work` with AES blocks of the token.
 *
 * ECB is one operation with an Update call for each step, which on SoftHSM costs an eighth of Init and C_Encrypt; where
 * the token holds blocks back, `work` runs again with a whole operation for each step. `work` must therefore have no
 * effect but its result.
 */
export async function withBlocks<Result>(
  token: Token,
  key: Handle,
  mechanism: number,
  direction: Direction,
  work: (blocks: BlockFunction) => Promise<Result>,
): Promise<Result> {
  const calls = direction === 'wrap' ? encryption(token) : decryption(token)
  if (mechanism === CKM.AES_CBC) return work((blocks) => cbcBlocks(calls, key, blocks))
  if (!heldBack.has(mechanism)) {
    try {
      return await oneOperation(calls, key, { mechanism }, work)
    } catch (error) {
      if (!(error instanceof BlockHeldBack)) throw error
      heldBack.add(mechanism)
    }
  }
  return work((blocks) => {
    calls.init({ mechanism }, key)
    return calls.once(asBuffer(blocks), Buffer.alloc(blocks.length))
  })
}

async function oneOperation<Result>(
  calls: Calls,
  key: Handle,
  mechanism: Mechanism,
  work: (blocks: BlockFunction) => Promise<Result>,
): Promise<Result> {
  calls.init(mechanism, key)
  try {
    return await work((blocks) => {
      const result = calls.update(asBuffer(blocks), Buffer.alloc(blocks.length))
      if (result.length !== blocks.length) throw new BlockHeldBack()
      return result
    })
  } finally {
    try {
      calls.final(Buffer.alloc(BLOCK))
    } catch (error) {
      // After a failed Update the operation is over already, and its error is the one that counts.
      if (!isCkrError(error)) throw error
    }
  }
}

/** CBC under a zero IV, one block an operation: the XOR with the IV changes nothing. */
function cbcBlocks(calls: Calls, key: Handle, blocks: Uint8Array): Uint8Array {
  const result = wipeable(blocks.length)
  for (let at = 0; at < blocks.length; at += BLOCK) {
    calls.init({ mechanism: CKM.AES_CBC, parameter: Buffer.alloc(BLOCK) }, key)
    const block = calls.once(asBuffer(blocks.subarray(at, at + BLOCK)), Buffer.alloc(BLOCK))
    result.set(block, at)
    block.fill(0)
  }
  return result
}

interface Calls {
  init(mechanism: Mechanism, key: Handle): void
  update(input: Buffer, output: Buffer): Buffer
  final(output: Buffer): Buffer
  once(input: Buffer, output: Buffer): Buffer
}

const encryption = ({ module, session }: Token): Calls => ({
  init: (mechanism, key) => module.C_EncryptInit(session, mechanism, key),
  update: (input, output) => module.C_EncryptUpdate(session, input, output),
  final: (output) => module.C_EncryptFinal(session, output),
  once: (input, output) => module.C_Encrypt(session, input, output),
})

const decryption = ({ module, session }: Token): Calls => ({
  init: (mechanism, key) => module.C_DecryptInit(session, mechanism, key),
  update: (input, output) => module.C_DecryptUpdate(session, input, output),
  final: (output) => module.C_DecryptFinal(session, output),
  once: (input, output) => module.C_Decrypt(session, input, output),
})
