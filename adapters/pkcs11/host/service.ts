import { AdapterError, wipeableCopy } from '../../contract/index.ts'
import { closeInspector } from '../../contract/no-inspector.ts'
import { decodeCrypt, encodeCrypt, type CryptMessage } from '../crypt-message.ts'
import { Answer, Ask, type Frame } from '../frames.ts'
import {
  decodeMessage,
  encodeFailure,
  encodeMessage,
  encodeRefusal,
  type CreateMessage,
  type FindMessage,
  type MemoryFacts,
  type OpenMessage,
  type ReopenMessage,
} from '../host-protocol.ts'
import { ckrOf, functionOf } from './ckr.ts'
import { createKey } from './create.ts'
import { Crypt, Unfinished, type CryptResult } from './crypt.ts'
import { Keys, KeysVanished } from './keys.ts'
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

/** What `frame` asks for, in memory of its own. */
export const toRequest = ({ id, kind, payload }: Frame): Request =>
  kind === Ask.crypt ? { id, message: decodeCrypt(payload) } : { id, kind, payload: wipeableCopy(payload) }

/** Takes a copy of the answer's payload. */
export type Reply = (answer: Frame) => void

interface Opened {
  readonly token: Token
  readonly keys: Keys
  readonly crypt: Crypt
}

/** Answers the gateway's requests in order, those that can share calls of the module together. */
export class Service {
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

  /** `undefined` where it is done at once: a promise for each call would be felt. */
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
      // A signal that came while this process started took effect when it read on, just now.
      await closeInspector()
      const token = await Token.open(decodeMessage<OpenMessage>(payload))
      token.onAlive = () => this.#reply({ id: 0, kind: Answer.alive, payload: EMPTY })
      this.#open = { token, keys: new Keys(token), crypt: new Crypt(token) }
      return encodeMessage(token.facts())
    }
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

  /** What is not done goes back as a request for the rest, so that other calls have their turn. */
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
    if (error instanceof KeysVanished) {
      this.#reply({ id, kind: Answer.vanished, payload: EMPTY })
      return
    }
    const refusal = error instanceof TokenReplaced ? new AdapterError('BACKEND_UNAVAILABLE', 'another token') : error
    this.#reply({ id, kind: Answer.refused, payload: encodeRefusal(refusal) })
  }
}

const EMPTY = new Uint8Array()

/** What is resident but not V8's heap, which grows and shrinks as it likes: mostly the module's. */
function nativeMemory(): MemoryFacts {
  const { rss, heapTotal } = process.memoryUsage()
  return { nativeBytes: rss - heapTotal }
}

/** The steps of key wraps under one key are independent of each other and go to the token together. */
const shareCalls = (a: CryptMessage, b: CryptMessage): boolean =>
  a.way.path === 'blocks' &&
  b.way.path === 'blocks' &&
  a.way.mechanism === b.way.mechanism &&
  a.way.scheme === b.way.scheme &&
  a.direction === b.direction &&
  a.selector === b.selector
