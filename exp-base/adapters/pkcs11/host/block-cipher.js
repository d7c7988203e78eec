import { CKM } from "../cryptoki.js";
import { isCkrError } from "./ckr.js";
const BLOCK = 16;
/** The token kept a block back in C_EncryptUpdate, as PKCS#11 lets it. */
class BlockHeldBack extends Error {
}
/** Mechanisms whose Update calls cannot be used on this token; found out once. */
const heldBack = new Set();
/**
 * Runs `work` with AES blocks of the token.
 *
 * ECB is one operation with an Update call for each step, which on SoftHSM costs an eighth of Init and C_Encrypt; where
 * the token holds blocks back, `work` runs again with a whole operation for each step. `work` must therefore have no
 * effect but its result.
 */
export async function withBlocks(token, key, mechanism, direction, work) {
    const calls = direction === 'wrap' ? encryption(token) : decryption(token);
    if (mechanism === CKM.AES_CBC)
        return work((blocks) => cbcBlocks(calls, key, blocks));
    if (!heldBack.has(mechanism)) {
        try {
            return await oneOperation(calls, key, { mechanism }, work);
        }
        catch (error) {
            if (!(error instanceof BlockHeldBack))
                throw error;
            heldBack.add(mechanism);
        }
    }
    return work((blocks) => {
        calls.init({ mechanism }, key);
        return calls.once(Buffer.from(blocks), Buffer.alloc(blocks.length));
    });
}
async function oneOperation(calls, key, mechanism, work) {
    calls.init(mechanism, key);
    try {
        return await work((blocks) => {
            const input = Buffer.from(blocks.buffer, blocks.byteOffset, blocks.byteLength);
            const result = calls.update(input, Buffer.alloc(blocks.length));
            if (result.length !== blocks.length)
                throw new BlockHeldBack();
            return result;
        });
    }
    finally {
        try {
            calls.final(Buffer.alloc(BLOCK));
        }
        catch (error) {
            // After a failed Update the operation is over already, and its error is the one that counts.
            if (!isCkrError(error))
                throw error;
        }
    }
}
/** CBC under a zero IV, one block an operation: the XOR with the IV changes nothing. */
function cbcBlocks(calls, key, blocks) {
    const result = new Uint8Array(blocks.length);
    for (let at = 0; at < blocks.length; at += BLOCK) {
        calls.init({ mechanism: CKM.AES_CBC, parameter: Buffer.alloc(BLOCK) }, key);
        const block = Buffer.from(blocks.subarray(at, at + BLOCK));
        result.set(calls.once(block, Buffer.alloc(BLOCK)), at);
    }
    return result;
}
const encryption = ({ module, session }) => ({
    init: (mechanism, key) => module.C_EncryptInit(session, mechanism, key),
    update: (input, output) => module.C_EncryptUpdate(session, input, output),
    final: (output) => module.C_EncryptFinal(session, output),
    once: (input, output) => module.C_Encrypt(session, input, output),
});
const decryption = ({ module, session }) => ({
    init: (mechanism, key) => module.C_DecryptInit(session, mechanism, key),
    update: (input, output) => module.C_DecryptUpdate(session, input, output),
    final: (output) => module.C_DecryptFinal(session, output),
    once: (input, output) => module.C_Decrypt(session, input, output),
});
