import type { Handle, Mechanism } from 'pkcs11js'
import type { Direction } from '../way.ts'
import { isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

/** The modulus of an RSA key of 4096 bits: nothing that an operation holds back is longer. */
const REST_BYTES = 512

/** Encrypting or decrypting in the session of a token, which has one operation at a time. */
export interface Operation {
  init(mechanism: Mechanism, key: Handle): void
  update(input: Buffer, output: Buffer): Buffer
  /** All in one call, and the end of it. */
  once(input: Buffer, output: Buffer): Buffer
  /** Whether or not an error has ended it before. */
  end(): void
}

type Calls = Pick<Operation, 'init' | 'update' | 'once'> & { readonly final: (output: Buffer) => Buffer }

export function operationOf(token: Token, direction: Direction): Operation {
  const { final, ...calls } = direction === 'wrap' ? encryption(token) : decryption(token)
  const end = () => {
    try {
      final(Buffer.alloc(REST_BYTES)).fill(0)
    } catch (error) {
      if (!isCkrError(error)) throw error
    }
  }
  const once = (input: Buffer, output: Buffer) => {
    try {
      return calls.once(input, output)
    } catch (error) {
      // The standard has it ended by the error. tpm2-pkcs11 leaves it active, and then begins no other.
      end()
      throw error
    }
  }
  return { ...calls, once, end }
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
