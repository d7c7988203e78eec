import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import type { KmipVersion } from '../protocol/version.ts'
import { refusesLogin, type Send } from './negotiation.ts'

/** Sends several operations to a server: as one message, or one by one if the server accepts only one at a time. */
export class Batches {
  readonly #send: Send
  /** Whether the server accepts batches. Undefined until that shows. */
  #areTaken: boolean | undefined

  constructor(send: Send) {
    this.#send = send
  }

  async ask(
    operations: readonly KmipOperation<unknown>[],
    version: KmipVersion,
    signal: CallSignal,
  ): Promise<Outcome<unknown>[]> {
    if (this.#areTaken === true) return this.#send(operations, version, signal)
    if (this.#areTaken === undefined) {
      const outcomes = await this.#tryBatch(operations, version, signal)
      if (outcomes.some(({ ok }) => ok)) {
        this.#areTaken = true
        return outcomes
      }
      // One by one they would be more logins, and a few may lock the account.
      if (outcomes.some(refusesLogin)) return outcomes
    }
    const answers = await Promise.all(operations.map((operation) => this.#send([operation], version, signal)))
    if (answers.some(([outcome]) => outcome?.ok)) this.#areTaken = false
    return answers.flat()
  }

  /** Forgets what was learned, because the server may have been replaced. */
  forget(): void {
    this.#areTaken = undefined
  }

  /** Undefined if the server accepts no batches: it then refuses the whole message, or closes the connection. */
  async #tryBatch(operations: readonly KmipOperation<unknown>[], version: KmipVersion, signal: CallSignal) {
    try {
      return await this.#send(operations, version, signal)
    } catch (error) {
      const isRefusal = error instanceof AdapterError && error.code === 'BACKEND_UNAVAILABLE'
      if (!isRefusal || !areRepeatable(operations)) throw error
      return []
    }
  }
}

export const areRepeatable = (operations: readonly KmipOperation<unknown>[]): boolean =>
  operations.every((operation) => operation.repeatable)
