import { accessSync } from 'node:fs'
import { PKCS11 } from 'pkcs11js'
import { CKF } from '../../../adapters/pkcs11/cryptoki/numbers.ts'
import { PIN } from '../../pkcs11/support/softhsm.ts'
import type { TestToken, TokenKind } from '../../pkcs11/support/token-kind.ts'
import { initialize, type Library } from '../../pkcs11/support/token-objects.ts'

/** A token whose device can be taken away and given back. */
export interface DeviceToken extends TestToken {
  takeAway(): void | Promise<void>
  giveBack(): void | Promise<void>
}

export interface DeviceKind extends TokenKind {
  /** The traffic that it can serve during its outage; 40 calls a second within 500 ms if absent. */
  readonly pace?: { readonly ratePerSecond: number; readonly deadlineMs: number }
  make(): DeviceToken | Promise<DeviceToken>
}

/** A suite that skips would pass without testing anything. */
export function needed(path: string, what: string): string {
  try {
    accessSync(path)
    return path
  } catch {
    throw new Error(`${what} is missing: there is no ${path}; run sh test/tokens/install.sh ${what}`)
  }
}

const SO_PIN = '97531086'
const CKU_SO = 0
const CKU_USER = 1

/**
 * Initialises the token in the slot of this index, with the user PIN `PIN`. `factoryPin` is the SO's current PIN, if
 * there is one.
 */
export function initToken(library: Library, label: string, index = 0, factoryPin = SO_PIN): void {
  const module = new PKCS11()
  module.load(library.module)
  initialize(module, library)
  try {
    const slot = module.C_GetSlotList(true)[index]
    if (slot === undefined) throw new Error(`${library.module} has no slot ${index}`)
    // pkcs11js passes on 32 bytes from the label's begin.
    module.C_InitToken(slot, factoryPin, label.padEnd(32))
    const session = module.C_OpenSession(slot, CKF.SERIAL_SESSION | CKF.RW_SESSION)
    module.C_Login(session, CKU_SO, factoryPin)
    if (factoryPin !== SO_PIN) module.C_SetPIN(session, factoryPin, SO_PIN)
    module.C_InitPIN(session, PIN)
    module.C_Logout(session)
    // Some libraries require the user to change a PIN that the SO has set.
    module.C_Login(session, CKU_USER, PIN)
  } finally {
    module.C_Finalize()
    module.close()
  }
}
