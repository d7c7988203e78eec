import type { Item, ItemOf } from '../../ttlv-codec/src/index.ts'
import type { KmipVersion } from './version.ts'

export type Structure = ItemOf<'Structure'>

/** One batch item: the request, and how its reply is read. */
export interface KmipOperation<Result> {
  /** The operation's number, KMIP 1.4 §9.1.3.2.27. */
  readonly code: number
  /** True if a second request changes nothing. */
  readonly repeatable: boolean
  /** The unique identifier of the existing object that it uses, if any. */
  readonly object?: string
  payload(version: KmipVersion): readonly Item[]
  /**
   * Reads the payload of a success. Byte strings must be copied.
   * @throws ReplyMismatch for an impossible payload
   */
  read(payload: Structure, version: KmipVersion): Result
}

/** The server understood the request and refused it. */
export class KmipRefusal extends Error {
  override readonly name = 'KmipRefusal'
  readonly operation: number
  /** The numeric result reason. Nothing is decided by anything else. */
  readonly reason: number

  constructor(operation: number, reason: number) {
    super(`operation 0x${operation.toString(16)} was refused with reason 0x${reason.toString(16)}`)
    this.operation = operation
    this.reason = reason
  }
}

/** The reply does not belong to the request. Later replies on the same connection cannot be trusted either. */
export class ReplyMismatch extends Error {
  override readonly name = 'ReplyMismatch'
}

export type Outcome<Result> =
  { readonly ok: true; readonly value: Result } | { readonly ok: false; readonly refusal: KmipRefusal }

/**
 * The value of a success.
 * @throws KmipRefusal of a refusal, and ReplyMismatch if there is no outcome
 */
export function valueOf<Result>(outcome: Outcome<Result> | undefined): Result {
  if (outcome === undefined) throw new ReplyMismatch('no outcome')
  if (outcome.ok) return outcome.value
  throw outcome.refusal
}
