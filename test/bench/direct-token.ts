import { PKCS11, type Handle } from 'pkcs11js'
import { CKA, CKF, CKM, CKU_USER } from '../../adapters/pkcs11/cryptoki/numbers.ts'
import { withoutEncryption } from '../../adapters/pkcs11/host/data-keys.ts'
import { MODULE, PIN } from '../pkcs11/support/softhsm.ts'

const kw = { mechanism: CKM.AES_KEY_WRAP }

/** A256KW by direct pkcs11js calls in this process: the reference for the gateway's way to the same token. */
export class DirectToken {
  readonly #module = new PKCS11()
  readonly #session: Handle
  readonly #kek: Handle

  /** @param key the CKA_LABEL of the key-encryption key */
  constructor(token: string, key: string) {
    const module = this.#module
    module.load(MODULE)
    module.C_Initialize({ flags: CKF.OS_LOCKING_OK })
    const slot = module.C_GetSlotList(true).find((id) => module.C_GetTokenInfo(id).label.trim() === token)
    if (slot === undefined) throw new Error(`SoftHSM shows no token ${token}`)
    this.#session = module.C_OpenSession(slot, CKF.SERIAL_SESSION)
    module.C_Login(this.#session, CKU_USER, PIN)
    module.C_FindObjectsInit(this.#session, [{ type: CKA.LABEL, value: key }])
    const [kek] = module.C_FindObjects(this.#session, 1)
    module.C_FindObjectsFinal(this.#session)
    if (kek === undefined) throw new Error(`the token has no key ${key}`)
    this.#kek = kek
  }

  wrap(plaintext: Buffer): Buffer {
    const object = this.#module.C_CreateObject(this.#session, [
      ...withoutEncryption,
      { type: CKA.VALUE, value: plaintext },
    ])
    const wrapped = this.#module.C_WrapKey(this.#session, kw, this.#kek, object, Buffer.alloc(plaintext.length + 8))
    this.#module.C_DestroyObject(this.#session, object)
    return wrapped
  }

  unwrap(wrapped: Buffer): Buffer {
    const object = this.#module.C_UnwrapKey(this.#session, kw, this.#kek, wrapped, withoutEncryption)
    const [attribute] = this.#module.C_GetAttributeValue(this.#session, object, [{ type: CKA.VALUE }])
    this.#module.C_DestroyObject(this.#session, object)
    if (!Buffer.isBuffer(attribute?.value)) throw new TypeError('the token did not show the value of the unwrapped key')
    return attribute.value
  }

  /**
   * Wraps `dataKey` and unwraps `wrapped` in turn, `count` calls in all.
   * @returns milliseconds of each
   * @throws Error at the first wrong result
   */
  times(dataKey: Buffer, wrapped: Buffer, count: number): number[] {
    return Array.from({ length: count }, (_, made) => {
      const start = performance.now()
      const result = made % 2 === 0 ? this.wrap(dataKey) : this.unwrap(wrapped)
      const took = performance.now() - start
      if (!result.equals(made % 2 === 0 ? wrapped : dataKey)) throw new Error('the token computed something else')
      return took
    })
  }

  close(): void {
    this.#module.C_Finalize()
    this.#module.close()
  }
}

/** Wraps `dataKey` with the token's key, then releases the module. */
export function wrapOnToken(token: string, key: string, dataKey: Buffer): Buffer {
  const direct = new DirectToken(token, key)
  try {
    return direct.wrap(dataKey)
  } finally {
    direct.close()
  }
}
