/** The caller as the TLS layer saw it. */
export type AuditedClient = {
  client_cn?: string
  client_cert_sha256?: string
  tls_resumed?: boolean
  remote_address?: string
}

/**
 * One record for each request. Only the members named here can be written: none could hold a `value`, a key or a
 * request's body. A member is undefined if the request was refused before it was known.
 */
export type AuditRecord = {
  pool?: string
  key?: string
  operation?: string
  algorithm?: string
  /** The length in bytes of the decoded `value` of the request. */
  payload_bytes?: number
  status: number
  /** The ProxyError's code, `OK` for a success. */
  code: string
  /** The message of the answer. It never quotes what the caller sent. */
  message?: string
  /** The path of a request without a route. */
  path?: string
  /** The gateway's own reason for a refusal, which is more exact than the code. */
  reason?: string | undefined
  /** A CKR value, a KMIP result reason, or a TLS verification error. */
  detail?: string | number | undefined
  /** The backend that was asked last, and whether it was asked as a standby. */
  backend?: string
  standby?: boolean
  total_ms: number
  /** Milliseconds spent waiting for the backend. Undefined if it was not called. */
  backend_ms?: number
  request_id?: string
  correlation_id?: string
  pool_name?: string
}
