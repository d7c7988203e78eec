import type { AuditedClient, AuditRecord } from './audit-record.ts'
import { auditText } from './audit-text.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'

/** The longest text of a caller that is logged, in UTF-16 code units. Longer texts are cut. */
export const MAX_LOGGED_TEXT = 256

export const cut = (text: string): string =>
  text.length <= MAX_LOGGED_TEXT ? text : text.slice(0, MAX_LOGGED_TEXT - 1) + '…'

export const milliseconds = (elapsed: number): number => Math.round(elapsed * 1000) / 1000

/** The log and the metrics, to which every request is reported. */
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
  /**
   * The code of OpenSSL or Node.js, e.g. `ERR_SSL_UNSUPPORTED_PROTOCOL`, or the gateway's own, e.g.
   * `PROXY_HEADER_MISSING`.
   */
  reason: string
  /** What came instead of a PROXY header, or what is wrong with it. It contains no text of the client. */
  detail?: string
}

export function writeHandshakeFailure(log: Log, failure: HandshakeFailure): void {
  log.always('tls_handshake_failed', { ...failure })
}
