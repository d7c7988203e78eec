import { randomBytes } from 'node:crypto'
import { AdapterError, type AdapterErrorCode, type KeyRef } from '../../contract/index.ts'
import { oaepWrap } from '../../key-wrap/index.ts'
import { ckrRow } from '../cryptoki/ckr-table.ts'
import { wayName, type Direction, type Way } from '../cryptoki/way.ts'
import { equal, type KnownAnswer } from './known-answers.ts'
import { allows, type TokenKey } from './token-key.ts'

/** Runs one way with the object that `selector` names. `witness` shows what caused a failure. */
export type Crypt = (
  selector: string,
  way: Way,
  direction: Direction,
  data: Uint8Array,
  witness?: Witness,
) => Promise<Uint8Array>

/**
 * Whether the token unwraps a known value now.
 *
 * | testimony | observation |
 * |---|---|
 * | `works` | the value unwrapped to what it should |
 * | `fails` | it did not |
 * | `missing` | the token does not show the key, or shows several of its name |
 * | `unknown` | there is no value to try, or the token is busy or does not allow it |
 */
export type Testimony = 'works' | 'fails' | 'missing' | 'unknown'

/** A value whose unwrapped form is known, under one key and in one way. docs/adr/0008 says what it proves. */
export interface Witness {
  testify(crypt: Crypt): Promise<Testimony>
}

/** Bytes. Any RFC 3394 value has at least this length. */
const TRIAL_BYTES = 24
const SAMPLE_BYTES = 32

/** A witness with `answer`, which was found right in another way. */
export const knownValue = (selector: string, way: Way, answer: KnownAnswer): Witness => ({
  testify: (crypt) => testimonyOf(() => unwraps(crypt, selector, way, answer)),
})

/** Proves that a key can be used in the way in which it is qualified. */
export class KeyWitness implements Witness {
  readonly ref: KeyRef
  readonly selector: string
  readonly wayName: string
  readonly #key: TokenKey
  readonly #way: Way
  readonly #trial: Way | undefined
  #answer: KnownAnswer | undefined
  /** A value that the key has unwrapped before. Its result is a data key and is not kept. */
  #learnt: Uint8Array | undefined

  /** @param trial single blocks, for a key that wraps nothing */
  constructor(key: TokenKey, way: Way, trial: Way | undefined) {
    this.ref = key.ref
    this.selector = key.selector
    this.wayName = wayName(way)
    this.#key = key
    this.#way = way
    this.#trial = trial
  }

  /** Records that `wrapped` was just unwrapped. */
  learn(wrapped: Uint8Array): void {
    if (!this.#canWrap) this.#learnt = Uint8Array.from(wrapped)
  }

  testify(crypt: Crypt): Promise<Testimony> {
    return testimonyOf(() => (this.#canWrap ? this.#testifyByWrapping(crypt) : this.#testifyWithoutWrap(crypt)))
  }

  get #canWrap(): boolean {
    return this.#key.publicKey !== undefined || allows(this.#key.facts, 'wrap')
  }

  async #testifyByWrapping(crypt: Crypt): Promise<Testimony> {
    if (this.#answer !== undefined) {
      const said = await unwraps(crypt, this.selector, this.#way, this.#answer)
      if (said === 'works') return said
    }
    // Another key may have the same name by now. A value that it has just wrapped proves as much.
    const fresh = await this.#wrapSample(crypt)
    const said = await unwraps(crypt, this.selector, this.#way, fresh)
    if (said === 'works') this.#answer = fresh
    return said
  }

  async #wrapSample(crypt: Crypt): Promise<KnownAnswer> {
    const plaintext = randomBytes(SAMPLE_BYTES)
    const { publicKey } = this.#key
    const { scheme } = this.#way
    if (publicKey !== undefined && (scheme === 'SHA-1' || scheme === 'SHA-256')) {
      return { plaintext, wrapped: oaepWrap(publicKey, scheme, plaintext) }
    }
    return { plaintext, wrapped: await crypt(this.selector, this.#way, 'wrap', plaintext) }
  }

  async #testifyWithoutWrap(crypt: Crypt): Promise<Testimony> {
    if (this.#learnt !== undefined) {
      const result = await crypt(this.selector, this.#way, 'unwrap', this.#learnt)
      result.fill(0)
      return 'works'
    }
    if (this.#trial === undefined) return 'unknown'
    try {
      const result = await crypt(this.selector, this.#trial, 'unwrap', randomBytes(TRIAL_BYTES))
      result.fill(0)
    } catch (error) {
      // The host finds no integrity value in the result. That shows that the token has processed every block.
      if (!(error instanceof AdapterError) || error.code !== 'CIPHERTEXT_INVALID') throw error
    }
    return 'works'
  }
}

/** Rejects if nothing results that could be compared. */
async function unwraps(
  crypt: Crypt,
  selector: string,
  way: Way,
  { plaintext, wrapped }: KnownAnswer,
): Promise<Testimony> {
  try {
    const result = await crypt(selector, way, 'unwrap', wrapped)
    const isRight = equal(result, plaintext)
    result.fill(0)
    return isRight ? 'works' : 'fails'
  } catch (error) {
    const said = testimonyBy(error)
    if (said === 'fails') return said
    throw error
  }
}

async function testimonyOf(testify: () => Promise<Testimony>): Promise<Testimony> {
  try {
    return await testify()
  } catch (error) {
    return testimonyBy(error)
  }
}

/** These codes concern the moment, or what the key may be used for, not a failure. */
const saysNothing: ReadonlySet<AdapterErrorCode> = new Set([
  'BACKEND_BUSY',
  'OPERATION_FORBIDDEN',
  'ALGORITHM_UNSUPPORTED',
])

function testimonyBy(error: unknown): Testimony {
  if (!(error instanceof AdapterError)) throw error
  const code = error.detail === undefined ? error.code : ckrRow(error.detail).error
  if (saysNothing.has(code)) return 'unknown'
  return code === 'KEY_NOT_FOUND' || code === 'KEY_AMBIGUOUS' ? 'missing' : 'fails'
}
