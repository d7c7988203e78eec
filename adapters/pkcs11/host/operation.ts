import type { Handle, Mechanism } from 'pkcs11js'
import type { Direction } from '../cryptoki/way.ts'
import { isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

/** The length in bytes of an RSA modulus of 4096 bits. No operation holds back more. */
const REST_BYTES = 512

/** Encrypts or decrypts in the session of a token, which has one operation at a time. */
export interface Operation {
  init(mechanism: Mechanism, key: Handle): void
  update(input: Buffer, output: Buffer): Buffer
  /** The whole operation in one call. */
  once(input: Buffer, output: Buffer): Buffer
  /** Ends the operation, even if an error has ended it before. */
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
      // The standard says that the error ends the operation. In tpm2-pkcs11 it stays active and prevents the next one.
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
