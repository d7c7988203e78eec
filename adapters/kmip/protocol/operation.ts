import type { Item, ItemOf } from '../../ttlv-codec/src/index.ts'
import type { KmipVersion } from './version.ts'

export type Structure = ItemOf<'Structure'>

/** One batch item: what is asked, and how its answer is read. */
export interface KmipOperation<Result> {
  /** Its number, KMIP 1.4 §9.1.3.2.27. */
  readonly code: number
  /** Whether sending it a second time changes nothing. */
  readonly repeatable: boolean
  /** The unique identifier of the object that it uses, if it is one that exists already. */
  readonly object?: string
  payload(version: KmipVersion): readonly Item[]
  /** Reads the payload of a success. Byte strings must be copied. Throws {@link ReplyMismatch} for what makes no sense. */
  read(payload: Structure, version: KmipVersion): Result
}

/** The server understood and said no. */
export class KmipRefusal extends Error {
  override readonly name = 'KmipRefusal'
  readonly operation: number
  /** The numeric result reason, all that is ever looked at. */
  readonly reason: number

  constructor(operation: number, reason: number) {
    super(`operation 0x${operation.toString(16)} was refused with reason 0x${reason.toString(16)}`)
    this.operation = operation
    this.reason = reason
  }
}

/** The reply is not an answer to what was asked. Whatever comes on that connection after it cannot be trusted either. */
export class ReplyMismatch extends Error {
  override readonly name = 'ReplyMismatch'
}

export type Outcome<Result> =
  { readonly ok: true; readonly value: Result } | { readonly ok: false; readonly refusal: KmipRefusal }
