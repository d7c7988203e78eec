import { auditText } from './audit-text.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** The longest text of a caller's that is logged, in UTF-16 code units; what is longer is cut. */
export const MAX_LOGGED_TEXT = 256

export const cut = (text: string): string =>
  text.length <= MAX_LOGGED_TEXT ? text : text.slice(0, MAX_LOGGED_TEXT - 1) + '…'

/** Who called, as the TLS layer saw it. */
export type AuditedClient = {
  client_cn?: string
  client_cert_sha256?: string
  tls_resumed?: boolean
  remote_address?: string
}

/**
 * One record per request. Only what is named here can be written: there is no member that could hold a `value`, a key or
 * a request's body. A member stays absent where a refused request never told it.
 */
export type AuditRecord = {
  pool?: string
  key?: string
  operation?: string
  algorithm?: string
  /** Length of the decoded `value` that came in. */
  payload_bytes?: number
  status: number
  /** The ProxyError's code, `OK` for a success. */
  code: string
  /** What the caller was told; it never quotes what the caller sent. */
  message?: string
  /** The path of a request that no route knows. */
  path?: string
  /** The gateway's own reason for a refusal; tells apart what the code does not. */
  reason?: string | undefined
  /** A CKR value, a KMIP result reason, a TLS verification error. */
  detail?: string | number | undefined
  /** The backend that was asked last, and whether in place of another that is down. */
  backend?: string
  standby?: boolean
  total_ms: number
  /** Time spent waiting for the backend; absent if it was not called. */
  backend_ms?: number
  request_id?: string
  correlation_id?: string
  pool_name?: string
}

export const milliseconds = (elapsed: number): number => Math.round(elapsed * 1000) / 1000

/** What there is to tell of a request goes into the log, and is counted. */
export interface Telemetry {
  readonly log: Log
  readonly metrics: Metrics
}

/** @param client the same object for every record of a connection */
export function writeAudit({ log, metrics }: Telemetry, record: AuditRecord, client: AuditedClient): void {
  log.always('request', record, client, auditText)
  metrics.request(record, record.total_ms / 1000)
}

export interface HandshakeFailure {
  remote_address?: string
  /** OpenSSL's or Node's code, e.g. `ERR_SSL_UNSUPPORTED_PROTOCOL`, or the gateway's own, e.g. `PROXY_HEADER_MISSING`. */
  reason: string
  /** What came instead of a PROXY header, or what is wrong with it; no text of the client's. */
  detail?: string
}

export function writeHandshakeFailure(log: Log, failure: HandshakeFailure): void {
  log.always('tls_handshake_failed', { ...failure })
}
