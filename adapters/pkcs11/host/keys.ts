import type { Handle, Template } from 'pkcs11js'
import { AdapterError } from '../../contract/index.ts'
import { CKA, CKK, CKO } from '../cryptoki/numbers.ts'
import type { FindMessage, KeyFacts } from '../wire/host-protocol.ts'
import { decodeSelector, type KeySelector } from '../names/key-selector.ts'
import { findObjects, readKeyFacts } from './objects.ts'
import type { Token } from './token.ts'

/**
 * Milliseconds after which a key is looked up again. Its object may have been destroyed, and the handle may then name
 * another key. Or a second key of the same name may have appeared. A look-up is cheap compared with that.
 */
const HANDLE_MS = 1000

const classes = { secret: CKO.SECRET_KEY, private: CKO.PRIVATE_KEY } as const

interface FoundKey {
  readonly handle: Handle
  readonly class: KeyFacts['class']
}

/** The token shows none of its former keys. So the token is missing, not just one key. */
export class KeysVanished extends Error {
  override readonly name = 'KeysVanished'
}

/** Maps key selectors to the handles of one session. */
export class Keys {
  readonly #token: Token
  readonly #openedAt = performance.now()
  readonly #found = new Map<string, FoundKey & { readonly until: number }>()

  constructor(token: Token) {
    this.#token = token
  }

  /** Forgets the handles, because they are invalid after a new session or with another token. */
  forget(): void {
    this.#found.clear()
  }

  /** @throws AdapterError `KEY_NOT_FOUND`, or `KEY_AMBIGUOUS` if several objects match */
  handle(selector: string): Handle {
    const known = this.#found.get(selector)
    if (known !== undefined && performance.now() < known.until) return known.handle
    const { sibling } = decodeSelector(selector)
    if (sibling !== undefined) return this.#makeSibling(selector, Buffer.from(sibling, 'hex'))
    return this.#find(selector).handle
  }

  facts(wanted: FindMessage): KeyFacts {
    try {
      const { handle, class: keyClass } = this.#find(wanted.selector)
      return readKeyFacts(this.#token, handle, keyClass)
    } catch (error) {
      if (error instanceof AdapterError && error.code === 'KEY_NOT_FOUND') this.#assertShowsKeys(wanted)
      throw error
    }
  }

  /**
   * "No such key" is trusted only if the token shows another key now, or was opened after a key was last seen: a token
   * that is missing cannot be opened (docs/adr/0008).
   */
  #assertShowsKeys({ beside, seenAgoMs }: FindMessage): void {
    this.#token.assertSession()
    if (seenAgoMs === undefined || performance.now() - this.#openedAt < seenAgoMs) return
    if (!beside.some((selector) => this.#matches(decodeSelector(selector)).length > 0)) throw new KeysVanished()
  }

  list(): KeyFacts[] {
    return (['secret', 'private'] as const).flatMap((keyClass) =>
      findObjects(this.#token, template(keyClass, {}), LIST_LIMIT).map((handle) =>
        readKeyFacts(this.#token, handle, keyClass),
      ),
    )
  }

  /**
   * Creates a session key of known value. It serves to check mechanisms that the real key does not allow to be checked.
   */
  #makeSibling(selector: string, value: Buffer): Handle {
    const { module, session } = this.#token
    const handle = module.C_CreateObject(session, [
      { type: CKA.CLASS, value: CKO.SECRET_KEY },
      { type: CKA.KEY_TYPE, value: CKK.AES },
      { type: CKA.TOKEN, value: false },
      { type: CKA.VALUE, value },
      ...[CKA.ENCRYPT, CKA.DECRYPT, CKA.WRAP, CKA.UNWRAP].map((type) => ({ type, value: true })),
    ])
    this.#found.set(selector, { handle, class: 'secret', until: Infinity })
    return handle
  }

  #matches(selector: KeySelector): FoundKey[] {
    return (['secret', 'private'] as const)
      .filter((keyClass) => selector.class === undefined || selector.class === keyClass)
      .flatMap((keyClass) =>
        findObjects(this.#token, template(keyClass, selector), 2).map((handle) => ({ handle, class: keyClass })),
      )
  }

  #find(text: string): FoundKey {
    this.#found.delete(text)
    const selector = decodeSelector(text)
    const matches = this.#matches(selector)
    const [match] = matches
    const wanted = describeSelector(selector)
    if (match === undefined) throw new AdapterError('KEY_NOT_FOUND', `the token has no key with ${wanted}`)
    if (matches.length > 1) {
      const names = matches.map((found) => describeObject(readKeyFacts(this.#token, found.handle, found.class)))
      throw new AdapterError(
        'KEY_AMBIGUOUS',
        `more than one key of the token has ${wanted}: ${names.join(' and ')}; name one by its CKA_ID, or remove one`,
      )
    }
    this.#found.set(text, { ...match, until: performance.now() + HANDLE_MS })
    return match
  }
}

const LIST_LIMIT = 10_000

function template(keyClass: KeyFacts['class'], { label, id }: KeySelector): Template {
  return [
    { type: CKA.CLASS, value: classes[keyClass] },
    ...(label === undefined ? [] : [{ type: CKA.LABEL, value: label }]),
    ...(id === undefined ? [] : [{ type: CKA.ID, value: Buffer.from(id, 'hex') }]),
  ]
}

const describeSelector = ({ label, id, class: keyClass }: KeySelector) =>
  [
    ...(label === undefined ? [] : [`the label ${JSON.stringify(label)}`]),
    ...(id === undefined ? [] : [`the id ${id}`]),
    ...(keyClass === undefined ? [] : [`the class ${keyClass}`]),
  ].join(' and ')

const describeObject = ({ class: keyClass, label, id }: KeyFacts) =>
  `a ${keyClass} key (label ${JSON.stringify(label)}, id ${id === '' ? 'empty' : id})`
