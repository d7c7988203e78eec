import type { Handle, Mechanism, Template } from 'pkcs11js'
import { ckrRow } from '../cryptoki/ckr-table.ts'
import { CKA, CKK, CKO } from '../cryptoki/numbers.ts'
import { ckrOf, isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

/** The attributes of a data key while it is in the token: a session object that only this process can use. */
const asTheTokenLikes: Template = [
  { type: CKA.CLASS, value: CKO.SECRET_KEY },
  { type: CKA.KEY_TYPE, value: CKK.GENERIC_SECRET },
  { type: CKA.TOKEN, value: false },
  { type: CKA.SENSITIVE, value: false },
  { type: CKA.EXTRACTABLE, value: true },
]

/**
 * CKA_PRIVATE hides an object from sessions of this process that are not logged in. There are none. SoftHSM encrypts
 * private objects even in memory, and a key wrap then takes a quarter longer.
 */
export const withoutEncryption: Template = [...asTheTokenLikes, { type: CKA.PRIVATE, value: false }]

/** C_WrapKey and C_UnwrapKey for data keys of this process. */
export class DataKeys {
  readonly #token: Token
  /** The attributes that the token has accepted before. */
  #template: Template | undefined

  constructor(token: Token) {
    this.#token = token
  }

  /**
   * @returns the part of `output` that was filled
   * @throws the module's error
   */
  wrap(mechanism: Mechanism, key: Handle, value: Buffer, output: Buffer): Buffer {
    const { module, session } = this.#token
    return this.#withTemplate((template) => {
      const object = module.C_CreateObject(session, [...template, { type: CKA.VALUE, value }])
      try {
        return module.C_WrapKey(session, mechanism, key, object, output)
      } finally {
        this.#destroyQuietly(object)
      }
    })
  }

  /** @throws the module's error */
  unwrap(mechanism: Mechanism, key: Handle, wrapped: Buffer): Buffer {
    const { module, session } = this.#token
    return this.#withTemplate((template) => {
      const object = module.C_UnwrapKey(session, mechanism, key, wrapped, template)
      try {
        const [attribute] = module.C_GetAttributeValue(session, object, [{ type: CKA.VALUE }])
        if (!Buffer.isBuffer(attribute?.value))
          throw new TypeError('the token did not show the value of the unwrapped key')
        return attribute.value
      } finally {
        this.#destroyQuietly(object)
      }
    })
  }

  /** A token may refuse objects that are not private, with any error. It then gets private ones. */
  #withTemplate(work: (template: Template) => Buffer): Buffer {
    if (this.#template !== undefined) return work(this.#template)
    try {
      return this.#decided(withoutEncryption, work)
    } catch (error) {
      if (!maySpeakOfTemplate(error)) throw error
      return this.#decided(asTheTokenLikes, work)
    }
  }

  #decided(template: Template, work: (template: Template) => Buffer): Buffer {
    const result = work(template)
    this.#template = template
    return result
  }

  /** The result of the current call matters more. An object that could not be destroyed ends with its session. */
  #destroyQuietly(object: Handle): void {
    const { module, session } = this.#token
    try {
      module.C_DestroyObject(session, object)
    } catch (error) {
      if (!isCkrError(error)) throw error
    }
  }
}

/** False only if the session or the token is lost. */
function maySpeakOfTemplate(error: unknown): boolean {
  const ckr = ckrOf(error)
  return ckr !== undefined && ['keep', 'ask'].includes(ckrRow(ckr).session)
}
