import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import type { KmipVersion } from '../protocol/version.ts'
import type { Send } from './negotiation.ts'

/** Asks a server several operations: as one message, or singly where it takes no more than one at a time. */
export class Batches {
  readonly #send: Send
  /** `undefined` until it shows. */
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
    }
    const answers = await Promise.all(operations.map((operation) => this.#send([operation], version, signal)))
    if (answers.some(([outcome]) => outcome?.ok)) this.#areTaken = false
    return answers.flat()
  }

  /** The server may have been replaced. */
  forget(): void {
    this.#areTaken = undefined
  }

  /** A server that takes no batches refuses all of it, or closes: then this gives nothing. */
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
