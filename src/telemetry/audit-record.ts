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
