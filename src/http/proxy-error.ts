import { AdapterError, KEY_NAME_RULE, type AdapterErrorCode } from '../../adapters/contract/index.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import type { AuditRecord } from '../telemetry/audit-record.ts'

/** The ProxyError of the EKM Proxy API. Azure passes `code` and `message` unchanged into its customer's logs. */
export class ProxyError extends Error {
  override readonly name = 'ProxyError'
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>
  /** For the audit record only. */
  readonly reason: string | undefined
  readonly detail: string | number | undefined

  constructor({ status, code, message, headers = {} }: Row, { saying = message, reason, detail }: Told = {}) {
    super(saying)
    this.status = status
    this.code = code
    this.headers = headers
    this.reason = reason
    this.detail = detail
  }
}

interface Row {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Told {
  /** A message that is more exact than the row's. */
  readonly saying?: string
  readonly reason?: string | undefined
  readonly detail?: string | number | undefined
}

/** For a reply after which the rest of the request or of the connection must not be read. */
const close = { connection: 'close' }

/** Refusals by HTTP itself, before or beside the four operations. */
const refusals = {
  UNAUTHORIZED: {
    status: 401,
    code: 'Unauthorized',
    message: 'the client certificate is missing, not valid, or not allowed to use this path',
    headers: close,
  },
  KEY_NAME_INVALID: { status: 400, code: 'BadRequest', message: `a key name is ${KEY_NAME_RULE}` },
  MALFORMED: { status: 400, code: 'BadRequest', message: 'the HTTP request is malformed', headers: close },
  ROUTE_UNKNOWN: {
    status: 404,
    code: 'NotFound',
    message: 'no such path: expected /{prefix}/info or /{prefix}/{key name}/metadata, /wrapkey or /unwrapkey',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    code: 'MethodNotAllowed',
    message: 'every operation is a POST',
    headers: { allow: 'POST' },
  },
  REQUEST_TIMEOUT: {
    status: 408,
    code: 'RequestTimeout',
    message: 'the request did not arrive in time',
    headers: close,
  },
  BODY_TOO_LARGE: { status: 413, code: 'PayloadTooLarge', message: 'the request body is too large' },
  CONTENT_TYPE: {
    status: 415,
    code: 'UnsupportedMediaType',
    message: 'the content type must be application/json, without a content encoding',
  },
  EXPECTATION: {
    status: 417,
    code: 'ExpectationFailed',
    message: 'the only supported expectation is 100-continue',
    headers: close,
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    code: 'RequestHeaderFieldsTooLarge',
    message: 'the request header is too large',
    headers: close,
  },
} satisfies Record<string, Row>

export const refuse = (refusal: keyof typeof refusals, told?: Told): ProxyError =>
  new ProxyError(refusals[refusal], { reason: refusal, ...told })

/** How a backend's failure looks from outside. Its own message is not sent. */
const failures: Readonly<Record<AdapterErrorCode, Row>> = {
  KEY_NOT_FOUND: { status: 404, code: 'KeyNotFound', message: 'there is no such key here' },
  KEY_DISABLED: { status: 403, code: 'KeyDisabled', message: 'the key is disabled, expired or not yet active' },
  OPERATION_FORBIDDEN: { status: 403, code: 'Forbidden', message: 'the key does not allow this operation' },
  KEY_UNSUPPORTED: {
    status: 403,
    code: 'Forbidden',
    message: 'the key must be a complete AES key of 256 bits or RSA key of 2048, 3072 or 4096 bits',
  },
  KEY_AMBIGUOUS: { status: 403, code: 'Forbidden', message: 'more than one key of the backend has this name' },
  ALGORITHM_UNSUPPORTED: { status: 400, code: 'BadRequest', message: 'alg is not supported by this key' },
  INPUT_INVALID: { status: 400, code: 'BadRequest', message: 'value has a length that alg does not allow' },
  CIPHERTEXT_INVALID: { status: 400, code: 'BadRequest', message: 'value cannot be unwrapped' },
  BACKEND_BUSY: {
    status: 429,
    code: 'Throttled',
    message: 'too many requests at present',
    headers: { 'retry-after': '1' },
  },
  DEADLINE_EXCEEDED: { status: 408, code: 'RequestTimeout', message: 'the answer was not ready in time' },
  // Nobody receives this answer. nginx's number distinguishes it in the log.
  CANCELLED: { status: 499, code: 'ClientClosedRequest', message: 'the client closed the connection' },
  BACKEND_UNAVAILABLE: { status: 502, code: 'BadGateway', message: 'the key backend is unreachable or failed' },
  CLOSED: { status: 503, code: 'ServiceUnavailable', message: 'the proxy is shutting down', headers: close },
}

const bug: Row = { status: 500, code: 'InternalServerError', message: 'an internal error occurred' }

/** Every status that a request may be answered with. */
export const statuses: readonly number[] = [
  ...new Set([200, ...[...Object.values(refusals), ...Object.values(failures), bug].map(({ status }) => status)]),
].sort((one, other) => one - other)

/** Every reason that an audit record may give. */
export const reasons: readonly string[] = [
  ...Object.keys(refusals),
  ...Object.keys(failures),
  'CLIENT_NOT_ALLOWED',
  'CERTIFICATE_REFUSED',
  'REQUEST_INVALID',
  'INTERNAL',
].filter((reason) => reason !== 'UNAUTHORIZED')

/** The only place where an error becomes a status. */
export function toProxyError(error: unknown): ProxyError {
  if (error instanceof ProxyError) return error
  if (error instanceof RequestInvalid)
    return new ProxyError({ status: 400, code: 'BadRequest', message: error.message }, { reason: 'REQUEST_INVALID' })
  if (!(error instanceof AdapterError)) return new ProxyError(bug, { reason: 'INTERNAL' })
  const row = failures[error.code]
  const retry = error.retryAfterSeconds
  const headers = retry === undefined ? row.headers : { ...row.headers, 'retry-after': String(retry) }
  return new ProxyError({ ...row, ...(headers && { headers }) }, { reason: error.code, detail: error.detail })
}

/** What the audit record contains of a failure. */
export const recordOf = ({ status, code, message, reason, detail }: ProxyError) =>
  ({ status, code, message, reason, detail }) satisfies Partial<AuditRecord>
