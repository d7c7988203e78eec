import type { Secret } from '../../contract/index.ts'
import {
  byteString,
  child,
  decode,
  encode,
  enumeration,
  integer,
  structure,
  textString,
  type Item,
} from '../../ttlv-codec/src/index.ts'
import { CREDENTIAL_USERNAME_PASSWORD, resultStatus, tag } from './numbers.ts'
import { KmipRefusal, ReplyMismatch, type KmipOperation, type Outcome, type Structure } from './operation.ts'
import { majorAndMinor, type KmipVersion } from './version.ts'

export interface KmipCredentials {
  readonly username: string
  readonly password: Secret
}

/**
 * Encodes a request message (KMIP 1.4 §6 and §7). It leaves out fields that some servers refuse and no server needs
 * (correlation values, time stamp, batch options). The caller zeroes the bytes, which may hold a data key and the
 * password.
 *
 * @param firstId the first item's unique batch item id; the others count up from it
 */
export function encodeRequest(
  operations: readonly KmipOperation<unknown>[],
  version: KmipVersion,
  firstId: number,
  credentials: KmipCredentials | undefined,
): Uint8Array {
  return encode(
    structure(tag.RequestMessage, [
      structure(tag.RequestHeader, [
        versionItem(version),
        ...(credentials === undefined ? [] : [authentication(credentials)]),
        integer(tag.BatchCount, operations.length),
      ]),
      ...operations.map((operation, index) =>
        structure(tag.BatchItem, [
          enumeration(tag.Operation, operation.code),
          byteString(tag.UniqueBatchItemId, batchId(firstId + index)),
          structure(tag.RequestPayload, operation.payload(version)),
        ]),
      ),
    ]),
  )
}

export function versionItem(version: KmipVersion): Item {
  const [major, minor] = majorAndMinor(version)
  return structure(tag.ProtocolVersion, [
    integer(tag.ProtocolVersionMajor, major),
    integer(tag.ProtocolVersionMinor, minor),
  ])
}

/** KMIP 1.4 §6.6: every request carries the password. */
function authentication({ username, password }: KmipCredentials): Item {
  const bytes = password.reveal()
  try {
    return structure(tag.Authentication, [
      structure(tag.Credential, [
        enumeration(tag.CredentialType, CREDENTIAL_USERNAME_PASSWORD),
        structure(tag.CredentialValue, [
          textString(tag.Username, username),
          textString(tag.Password, new TextDecoder().decode(bytes)),
        ]),
      ]),
    ])
  } finally {
    bytes.fill(0)
  }
}

function batchId(id: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(id))
  return bytes
}

/**
 * Reads a response message: one outcome for each operation of its request. The caller zeroes `frame`.
 *
 * @throws TtlvError or {@link ReplyMismatch} if the message is not a response to this request
 */
export function readResponse(
  frame: Uint8Array,
  operations: readonly KmipOperation<unknown>[],
  version: KmipVersion,
  firstId: number,
): Outcome<unknown>[] {
  const message = decode(frame)
  if (message.type !== 'Structure' || message.tag !== tag.ResponseMessage) {
    throw new ReplyMismatch('not a response message')
  }
  const items = message.value.filter(
    (item): item is Structure => item.tag === tag.BatchItem && item.type === 'Structure',
  )
  const header = child(message, tag.ResponseHeader, 'Structure')
  if (header === undefined || child(header, tag.BatchCount, 'Integer')?.value !== items.length) {
    throw new ReplyMismatch('the batch count is not the number of batch items')
  }
  const whole = refusalOfAll(items, operations)
  if (whole !== undefined) return operations.map(({ code }) => refused(code, whole))
  if (items.length !== operations.length) throw new ReplyMismatch('the number of answers is not the number of requests')
  return operations.map((operation, index) => {
    const item = items[index]
    if (item === undefined) throw new ReplyMismatch('an answer is missing')
    assertAnswers(item, operation, firstId + index, operations.length > 1)
    const status = child(item, tag.ResultStatus, 'Enumeration')?.value
    if (status === resultStatus.OperationFailed) return refused(operation.code, reasonOf(item))
    const payload = child(item, tag.ResponsePayload, 'Structure') ?? structure(tag.ResponsePayload, [])
    if (status !== resultStatus.Success) throw new ReplyMismatch('neither success nor failure')
    return { ok: true, value: operation.read(payload, version) }
  })
}

const refused = (operation: number, reason: number): Outcome<never> => ({
  ok: false,
  refusal: new KmipRefusal(operation, reason),
})

const reasonOf = (item: Structure): number => {
  const reason = child(item, tag.ResultReason, 'Enumeration')?.value
  if (reason === undefined) throw new ReplyMismatch('a failure without a reason')
  return reason
}

/** A server that cannot read a message answers with one failure that names no operation. It applies to all of them. */
function refusalOfAll(items: readonly Structure[], operations: readonly unknown[]): number | undefined {
  const [only] = items
  if (items.length !== 1 || only === undefined || operations.length === 0) return undefined
  if (child(only, tag.Operation, 'Enumeration') !== undefined) return undefined
  return child(only, tag.ResultStatus, 'Enumeration')?.value === resultStatus.OperationFailed
    ? reasonOf(only)
    : undefined
}

function assertAnswers(item: Structure, { code }: KmipOperation<unknown>, id: number, idNeeded: boolean): void {
  if (child(item, tag.Operation, 'Enumeration')?.value !== code)
    throw new ReplyMismatch('an answer for another operation')
  const actual = child(item, tag.UniqueBatchItemId, 'ByteString')?.value
  if (actual === undefined && !idNeeded) return
  if (actual === undefined || Buffer.compare(actual, batchId(id)) !== 0) {
    throw new ReplyMismatch('an answer to another request')
  }
}
