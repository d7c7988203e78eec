import { AdapterError, type AdapterErrorCode } from '../contract/index.ts'
import { resultReason as reason } from './protocol/numbers.ts'
import type { KmipRefusal } from './protocol/operation.ts'

/** The operation that the server refused. */
export type Use = 'describe' | 'wrap' | 'unwrap'

/** `'UNCLEAR'`: either the ciphertext or the server is at fault, and only a known answer tells which. */
export type Meaning = AdapterErrorCode | 'UNCLEAR'

interface Row {
  readonly describe: AdapterErrorCode
  readonly wrap: AdapterErrorCode
  readonly unwrap: Meaning
}

const always = (code: AdapterErrorCode): Row => ({ describe: code, wrap: code, unwrap: code })
/** The server does not support these parameters. It says so of an object's attributes hardly ever. */
const parameters: Row = {
  describe: 'BACKEND_UNAVAILABLE',
  wrap: 'ALGORITHM_UNSUPPORTED',
  unwrap: 'ALGORITHM_UNSUPPORTED',
}

/**
 * One row for each result reason that servers were observed to return, or that the specification lists for the
 * operations used here. The numbers of 1.x and 2.x do not collide. Servers disagree. PyKMIP reports bad padding as
 * General Failure, and reports a wrong state, a missing mask and a missing right all as Permission Denied. Cosmian
 * reports a missing mask as Item Not Found.
 */
const rows: ReadonlyMap<number, Row> = new Map([
  [reason.ItemNotFound, always('KEY_NOT_FOUND')],
  [reason.ObjectNotFound, always('KEY_NOT_FOUND')],
  [reason.ObjectDestroyed, always('KEY_NOT_FOUND')],
  [reason.ResponseTooLarge, always('BACKEND_UNAVAILABLE')],
  [reason.AuthenticationNotSuccessful, always('BACKEND_UNAVAILABLE')],
  [reason.InvalidMessage, always('BACKEND_UNAVAILABLE')],
  [reason.UnsupportedProtocolVersion, always('BACKEND_UNAVAILABLE')],
  [reason.InternalServerError, always('BACKEND_UNAVAILABLE')],
  [reason.OperationNotSupported, parameters],
  [reason.MissingData, parameters],
  [reason.InvalidField, { ...parameters, unwrap: 'UNCLEAR' }],
  [reason.FeatureNotSupported, parameters],
  [reason.BadCryptographicParameters, parameters],
  [reason.UnsupportedCryptographicParameters, parameters],
  [reason.UnknownEnumeration, parameters],
  [
    reason.CryptographicFailure,
    { describe: 'BACKEND_UNAVAILABLE', wrap: 'BACKEND_UNAVAILABLE', unwrap: 'CIPHERTEXT_INVALID' },
  ],
  [reason.GeneralFailure, { describe: 'BACKEND_UNAVAILABLE', wrap: 'BACKEND_UNAVAILABLE', unwrap: 'UNCLEAR' }],
  [reason.IllegalOperation, always('OPERATION_FORBIDDEN')],
  [reason.PermissionDenied, always('OPERATION_FORBIDDEN')],
  [reason.NotAuthorised, always('OPERATION_FORBIDDEN')],
  [reason.Sensitive, always('OPERATION_FORBIDDEN')],
  [reason.NotExtractable, always('OPERATION_FORBIDDEN')],
  [reason.UsageLimitExceeded, always('OPERATION_FORBIDDEN')],
  [reason.IncompatibleCryptographicUsageMask, always('OPERATION_FORBIDDEN')],
  [reason.ObjectArchived, always('KEY_DISABLED')],
  [reason.WrongKeyLifecycleState, always('KEY_DISABLED')],
  [reason.KeyFormatTypeNotSupported, always('KEY_UNSUPPORTED')],
  [reason.KeyValueNotPresent, always('KEY_UNSUPPORTED')],
  [reason.IllegalObjectType, always('KEY_UNSUPPORTED')],
  [reason.InvalidObjectType, always('KEY_UNSUPPORTED')],
  [reason.ServerLimitExceeded, always('BACKEND_BUSY')],
])

/** What a refusal means. An unknown reason counts as the server's failure, not the caller's. */
export function meaningOf(refusal: KmipRefusal, use: Use): Meaning {
  return rows.get(refusal.reason)?.[use] ?? 'BACKEND_UNAVAILABLE'
}

export function refusalError(refusal: KmipRefusal, code: AdapterErrorCode): AdapterError {
  return new AdapterError(code, refusal.message, {
    detail: refusal.reason,
    ...(code === 'BACKEND_BUSY' && { retryAfterSeconds: 1 }),
  })
}

/**
 * The server did what was asked, but the result cannot be right. The result is not returned, and the key's way is
 * determined again.
 */
export class ResultWrong extends AdapterError {
  constructor(message: string) {
    super('BACKEND_UNAVAILABLE', message)
  }
}

/** The one failure of unwrap, with the same words for every cause. */
export const invalidCiphertext = (): AdapterError =>
  new AdapterError('CIPHERTEXT_INVALID', 'the value cannot be unwrapped')
