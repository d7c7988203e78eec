import { wipeableCopy } from '../../contract/index.ts'
import { closeInspector } from '../../contract/no-inspector.ts'
import { decodeCrypt, encodeCrypt, type CryptMessage } from '../wire/crypt-message.ts'
import { Answer, Ask, type Frame } from '../wire/frames.ts'
import {
  decodeMessage,
  encodeFailure,
  encodeMessage,
  encodeRefusal,
  type CreateMessage,
  type FindMessage,
  type LibraryMessage,
  type MemoryFacts,
  type OpenMessage,
  type ReopenMessage,
} from '../wire/host-protocol.ts'
import { ckrOf, functionOf } from './ckr.ts'
import { createKey } from './create.ts'
import { Crypt, Unfinished, type CryptResult } from './crypt.ts'
import { Keys, KeysVanished } from './keys.ts'
import { surveyTokens } from './library.ts'
import { Token, TokenReplaced } from './token.ts'

interface CryptRequest {
  readonly id: number
  readonly message: CryptMessage
}

interface OtherRequest {
  readonly id: number
  readonly kind: number
  readonly payload: Uint8Array
}

export type Request = CryptRequest | OtherRequest

/** The request in `frame`, in memory of its own. */
export const toRequest = ({ id, kind, payload }: Frame): Request =>
  kind === Ask.crypt ? { id, message: decodeCrypt(payload) } : { id, kind, payload: wipeableCopy(payload) }

/** Copies the answer's payload. */
export type Reply = (answer: Frame) => void

interface Opened {
  readonly token: Token
  readonly keys: Keys
  readonly crypt: Crypt
}

/** Answers the gateway's requests in order. Requests that can share calls of the module are answered together. */
export class Answerer {
  readonly #reply: Reply
  #open: Opened | undefined

  constructor(reply: Reply) {
    this.#reply = reply
  }

  async serve(requests: readonly Request[]): Promise<void> {
    for (let at = 0; at < requests.length;) {
      const request = requests[at++]
      if (request === undefined) return
      if (!('message' in request)) {
        try {
          this.#answer(request.id, await this.#other(request))
        } catch (error) {
          this.#fail(request.id, error)
        }
        request.payload.fill(0)
        continue
      }
      const batch = [request]
      for (let next = requests[at]; next !== undefined && 'message' in next; next = requests[++at]) {
        if (!shareCalls(request.message, next.message)) break
        batch.push(next)
      }
      const rest = this.#crypt(request.message, batch)
      if (rest !== undefined) await rest
    }
  }

  /** Undefined if the work is done at once: a promise for each call would cost measurable time. */
  #crypt({ selector, way, direction }: CryptMessage, batch: readonly CryptRequest[]): Promise<void> | undefined {
    const values = batch.map(({ message }) => message)
    const wipe = () => {
      for (const { data } of values) data.fill(0)
    }
    const answer = (results: readonly CryptResult[]) => {
      batch.forEach(({ id, message }, index) => {
        const result = results[index]
        if (result === undefined) this.#reply({ id, kind: Answer.invalidCiphertext, payload: EMPTY })
        else if (result instanceof Unfinished) this.#handBack(id, message, result)
        else this.#answer(id, result)
      })
      wipe()
    }
    const refuse = (error: unknown) => {
      for (const { id } of batch) this.#fail(id, error)
      wipe()
    }
    try {
      const { keys, crypt } = this.#opened()
      const results = crypt.run(keys.handle(selector), way, direction, values)
      if (results instanceof Promise) return results.then(answer).catch(refuse)
      answer(results)
    } catch (error) {
      refuse(error)
    }
    return undefined
  }

  async #other({ kind, payload }: OtherRequest): Promise<Uint8Array> {
    if (kind === Ask.open) {
      // A signal that arrived while this process started has just taken effect.
      await closeInspector()
      const token = await Token.open(decodeMessage<OpenMessage>(payload))
      token.onAlive = () => this.#reply({ id: 0, kind: Answer.alive, payload: EMPTY })
      this.#open = { token, keys: new Keys(token), crypt: new Crypt(token) }
      return encodeMessage(token.facts())
    }
    if (kind === Ask.survey) return encodeMessage(await surveyTokens(decodeMessage<LibraryMessage>(payload)))
    const { token, keys } = this.#opened()
    switch (kind) {
      case Ask.memory:
        return encodeMessage(nativeMemory())
      case Ask.reopen:
        keys.forget()
        token.reopen(decodeMessage<ReopenMessage>(payload).pin)
        return EMPTY
      case Ask.probe:
        token.probe()
        return EMPTY
      case Ask.find:
        return encodeMessage(keys.facts(decodeMessage<FindMessage>(payload)))
      case Ask.list:
        return encodeMessage(keys.list())
      case Ask.create:
        return encodeMessage(createKey(token, decodeMessage<CreateMessage>(payload)))
      default:
        throw new RangeError('unknown request')
    }
  }

  #opened() {
    if (this.#open === undefined) throw new Error('no token is open')
    return this.#open
  }

  #answer(id: number, result: Uint8Array): void {
    this.#reply({ id, kind: Answer.result, payload: result })
    result.fill(0)
  }

  /** Returns unfinished work as a request for the rest, so that other calls get their turn. */
  #handBack(id: number, message: CryptMessage, { bytes, step }: Unfinished): void {
    const payload = encodeCrypt({ ...message, data: bytes, step })
    this.#reply({ id, kind: Answer.unfinished, payload })
    payload.fill(0)
    bytes.fill(0)
  }

  #fail(id: number, error: unknown): void {
    const ckr = ckrOf(error)
    if (ckr !== undefined) {
      this.#reply({ id, kind: Answer.ckr, payload: encodeFailure(ckr, functionOf(error)) })
      return
    }
    if (error instanceof KeysVanished || error instanceof TokenReplaced) {
      this.#reply({ id, kind: Answer.vanished, payload: EMPTY })
      return
    }
    this.#reply({ id, kind: Answer.refused, payload: encodeRefusal(error) })
  }
}

const EMPTY = new Uint8Array()

/** Resident memory outside V8's heap, which is mostly the module's. V8's heap grows and shrinks by itself. */
function nativeMemory(): MemoryFacts {
  const { rss, heapTotal } = process.memoryUsage()
  return { nativeBytes: rss - heapTotal }
}

/** The steps of key wraps under one key are independent, so they are sent to the token together. */
const shareCalls = (a: CryptMessage, b: CryptMessage): boolean =>
  a.way.path === 'blocks' &&
  b.way.path === 'blocks' &&
  a.way.mechanism === b.way.mechanism &&
  a.way.scheme === b.way.scheme &&
  a.direction === b.direction &&
  a.selector === b.selector
