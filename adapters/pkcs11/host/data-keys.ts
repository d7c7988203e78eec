import type { Handle, Mechanism, Template } from 'pkcs11js'
import { ckrRow } from '../ckr-table.ts'
import { CKA, CKK, CKO } from '../cryptoki.ts'
import { ckrOf, isCkrError } from './ckr.ts'
import type { Token } from './token.ts'

/** A data key while it passes through the token: a session object, which nobody but this process can use. */
const asTheTokenLikes: Template = [
  { type: CKA.CLASS, value: CKO.SECRET_KEY },
  { type: CKA.KEY_TYPE, value: CKK.GENERIC_SECRET },
  { type: CKA.TOKEN, value: false },
  { type: CKA.SENSITIVE, value: false },
  { type: CKA.EXTRACTABLE, value: true },
]

/**
 * CKA_PRIVATE hides an object from sessions of this process that are not logged in, of which there are none. SoftHSM
 * encrypts what is private, in memory too, and takes a quarter longer for a key wrap.
 */
export const withoutEncryption: Template = [...asTheTokenLikes, { type: CKA.PRIVATE, value: false }]

/** C_WrapKey and C_UnwrapKey of data keys that come from this process and go to it. */
export class DataKeys {
  readonly #token: Token
  /** What the token has taken before. */
  #template: Template | undefined

  constructor(token: Token) {
    this.#token = token
  }

  /** The part of `output` that was filled. Throws what the module answered. */
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

  /** Throws what the module answered. */
  unwrap(mechanism: Mechanism, key: Handle, wrapped: Buffer): Buffer {
    const { module, session } = this.#token
    return this.#withTemplate((template) => {
      const object = module.C_UnwrapKey(session, mechanism, key, wrapped, template)
      try {
        const [attribute] = module.C_GetAttributeValue(session, object, [{ type: CKA.VALUE }])
        if (!Buffer.isBuffer(attribute?.value)) throw new TypeError('the token gave no value of the unwrapped key')
        return attribute.value
      } finally {
        this.#destroyQuietly(object)
      }
    })
  }

  /** A token may refuse what is not private, by whatever name; then it gets what it likes. */
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

  /** The result of the call in hand counts; an object that could not be destroyed goes with its session. */
  #destroyQuietly(object: Handle): void {
    const { module, session } = this.#token
    try {
      module.C_DestroyObject(session, object)
    } catch (error) {
      if (!isCkrError(error)) throw error
    }
  }
}

/** Anything but that the session or the token is lost. */
function maySpeakOfTemplate(error: unknown): boolean {
  const ckr = ckrOf(error)
  return ckr !== undefined && ['keep', 'ask'].includes(ckrRow(ckr).session)
}
