import { AdapterError, type CallSignal } from '../../contract/index.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'

export type Results<Operations extends readonly KmipOperation<unknown>[]> = {
  [Index in keyof Operations]: Operations[Index] extends KmipOperation<infer Result> ? Outcome<Result> : never
}

/** What takes requests: one server, or whichever is healthy. */
export interface Requests {
  /**
   * Sends one operation.
   * @throws KmipRefusal if the server refuses; otherwise the signal's reason or an AdapterError
   */
  call<Result>(operation: KmipOperation<Result>, signal: CallSignal): Promise<Result>
  /** Sends several operations in one message. A refusal of one is its outcome and does not affect the others. */
  batch<const Operations extends readonly KmipOperation<unknown>[]>(
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>>
}

/** Nothing was sent, because the server cannot be used. Another one can be asked. */
export class ServerAway extends AdapterError {
  constructor() {
    super('BACKEND_UNAVAILABLE', 'the KMIP server cannot be reached')
  }
}

export const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
