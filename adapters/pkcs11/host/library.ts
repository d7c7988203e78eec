import { OperatorError } from '../../contract/index.ts'
import type { Handle, PKCS11, TokenInfo } from 'pkcs11js'
import { CKF, CKR } from '../cryptoki/numbers.ts'
import type { LibraryMessage, TokenSeen } from '../wire/host-protocol.ts'
import { isCkrError, tolerate } from './ckr.ts'

/** A slot with a token in it. */
export interface PresentToken {
  readonly slot: Handle
  readonly info: TokenInfo
}

/** The vendor's library, loaded and initialised. */
export async function loadLibrary(message: LibraryMessage): Promise<PKCS11> {
  const module = await load(message)
  const parameters = message.libraryParameters
  tolerate([CKR.CRYPTOKI_ALREADY_INITIALIZED], () =>
    module.C_Initialize({
      flags: CKF.OS_LOCKING_OK,
      // pkcs11js 2.1.7 leaves no room for the NUL that ends a string in C, and cuts the last byte off for it.
      ...(parameters !== undefined && { libraryParameters: `${parameters}\0` }),
    }),
  )
  return module
}

async function load({ binding, module: path }: LibraryMessage): Promise<PKCS11> {
  const imported = (await import(binding).catch(() => {
    throw new OperatorError(
      'PKCS11JS_MISSING',
      'the optional package pkcs11js is not installed or was not built: run npm install pkcs11js (it compiles with ' +
        'node-gyp, so a C++ compiler, make and Python are needed)',
    )
  })) as { readonly default: typeof import('pkcs11js') }
  const module = new imported.default.PKCS11()
  try {
    module.load(path)
  } catch (error) {
    if (isCkrError(error)) throw error
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new OperatorError('MODULE_UNUSABLE', `the PKCS#11 module ${path} cannot be loaded: ${reason}`)
  }
  return module
}

/** Every token that answers, initialised or not. */
export const presentTokens = (module: PKCS11): PresentToken[] =>
  module.C_GetSlotList(true).flatMap((slot) => {
    try {
      return [{ slot, info: module.C_GetTokenInfo(slot) }]
    } catch (error) {
      if (isCkrError(error)) return []
      throw error
    }
  })

/** What there is to choose from. Nobody logs in for it. */
export async function surveyTokens(message: LibraryMessage): Promise<TokenSeen[]> {
  const module = await loadLibrary(message)
  return presentTokens(module).map(({ slot, info }) => {
    const has = (flag: number) => (info.flags & flag) !== 0
    return {
      label: unpadded(info.label),
      serial: unpadded(info.serialNumber),
      model: unpadded(info.model),
      slot: slotNumber(slot),
      initialised: has(CKF.TOKEN_INITIALIZED),
      pinPad: has(CKF.PROTECTED_AUTHENTICATION_PATH),
      pin: has(CKF.USER_PIN_LOCKED)
        ? 'locked'
        : has(CKF.USER_PIN_FINAL_TRY)
          ? 'final try'
          : has(CKF.USER_PIN_COUNT_LOW)
            ? 'count low'
            : has(CKF.USER_PIN_INITIALIZED)
              ? 'set'
              : 'not set',
    }
  })
}

/** The standard pads with blanks; tpm2-pkcs11 pads with NULs. */
export const unpadded = (text: string) => text.replace(/[\0 ]+$/, '')

/** A CK_ULONG of this machine; slot ids may be larger than 2^53. */
export const slotNumber = (slot: Handle): bigint =>
  slot.length === 8 ? slot.readBigUInt64LE(0) : BigInt(slot.readUInt32LE(0))
