import { AdapterError } from '../../contract/index.ts'
import { decodeCrypt, type CryptMessage } from '../crypt-message.ts'
import { Answer, Ask } from '../frames.ts'
import {
  decodeMessage,
  encodeMessage,
  encodeRefusal,
  type CreateMessage,
  type MemoryFacts,
  type OpenMessage,
  type ReopenMessage,
} from '../host-protocol.ts'
import { ckrOf } from './ckr.ts'
import { createKey } from './create.ts'
import { crypt } from './crypt.ts'
import { Keys } from './keys.ts'
import { Token, TokenReplaced } from './token.ts'

export interface Request {
  readonly id: number
  readonly kind: number
  readonly payload: Uint8Array
}

export type Reply = (id: number, answer: number, payload: Uint8Array) => void

/** Answers the gateway's requests in order, those that can share calls of the module together. */
export class Service {
  readonly #reply: Reply
  #open: { readonly token: Token; readonly keys: Keys } | undefined

  constructor(reply: Reply) {
    this.#reply = reply
  }

  async serve(requests: readonly Request[]): Promise<void> {
    for (let at = 0; at < requests.length;) {
      const request = requests[at]
      if (request === undefined) return
      if (request.kind !== Ask.crypt) {
        await this.#guard([request.id], async () => this.#answer(request.id, await this.#other(request)))
        request.payload.fill(0)
        at++
        continue
      }
      const batch = [{ id: request.id, message: decodeCrypt(request.payload) }]
      for (let next = requests[++at]; next?.kind === Ask.crypt; next = requests[++at]) {
        const message = decodeCrypt(next.payload)
        if (!shareCalls(batch[0]?.message, message)) break
        batch.push({ id: next.id, message })
      }
      await this.#crypt(batch)
    }
  }

  async #crypt(batch: readonly { readonly id: number; readonly message: CryptMessage }[]): Promise<void> {
    const first = batch[0]?.message
    if (first === undefined) return
    const ids = batch.map(({ id }) => id)
    const values = batch.map(({ message }) => message.data)
    await this.#guard(ids, async () => {
      const { token, keys } = this.#opened()
      const results = await crypt(token, keys.handle(first.selector), first.way, first.direction, values)
      results.forEach((result, index) => {
        const id = ids[index] ?? 0
        if (result === undefined) this.#reply(id, Answer.invalidCiphertext, EMPTY)
        else this.#answer(id, result)
      })
    })
    for (const value of values) value.fill(0)
  }

  async #other({ kind, payload }: Request): Promise<Uint8Array> {
    if (kind === Ask.open) {
      const token = await Token.open(decodeMessage<OpenMessage>(payload))
      this.#open = { token, keys: new Keys(token) }
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
        return encodeMessage(keys.facts(Buffer.from(payload).toString('utf8')))
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
    this.#reply(id, Answer.result, result)
    result.fill(0)
  }

  async #guard(ids: readonly number[], work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      for (const id of ids) this.#fail(id, error)
    }
  }

  #fail(id: number, error: unknown): void {
    const ckr = ckrOf(error)
    if (ckr !== undefined) {
      const code = new Uint8Array(4)
      new DataView(code.buffer).setUint32(0, ckr, true)
      this.#reply(id, Answer.ckr, code)
      return
    }
    const refusal = error instanceof TokenReplaced ? new AdapterError('BACKEND_UNAVAILABLE', 'another token') : error
    this.#reply(id, Answer.refused, encodeRefusal(refusal))
  }
}

const EMPTY = new Uint8Array()

/** What is resident but not V8's heap, which grows and shrinks as it likes: mostly the module's. */
function nativeMemory(): MemoryFacts {
  const { rss, heapTotal } = process.memoryUsage()
  return { nativeBytes: rss - heapTotal }
}

/** The steps of key wraps under one key are independent of each other and go to the token together. */
const shareCalls = (a: CryptMessage | undefined, b: CryptMessage): boolean =>
  a?.way.path === 'blocks' &&
  b.way.path === 'blocks' &&
  a.way.mechanism === b.way.mechanism &&
  a.way.scheme === b.way.scheme &&
  a.direction === b.direction &&
  a.selector === b.selector
