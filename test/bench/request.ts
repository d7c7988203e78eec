import { randomUUID } from 'node:crypto'
import type { Reply } from './http-connection.ts'

/** A request's bytes, and its one right reply. */
export interface Call {
  readonly request: Buffer
  readonly body: string
}

export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

export interface CallOptions {
  /** The prefix without slashes around it. */
  readonly pathPrefix: string
  readonly key: string
  readonly operation: 'wrapkey' | 'unwrapkey'
  readonly alg: string
  readonly value: Uint8Array
  /** The expected value of the reply. */
  readonly result: Uint8Array
}

/** A request as Managed HSM makes it. */
export function makeRequest(path: string, members: object = {}): Buffer {
  const body = JSON.stringify({
    request_context: { request_id: randomUUID(), correlation_id: randomUUID(), pool_name: 'contoso-mhsm' },
    ...members,
  })
  const head = [
    `POST /${path}?api-version=0.1-preview HTTP/1.1`,
    'Host: localhost',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${body}`)
}

export function makeCall({ pathPrefix, key, operation, alg, value, result }: CallOptions): Call {
  return {
    request: makeRequest(`${pathPrefix}/${key}/${operation}`, { alg, value: base64url(value) }),
    body: JSON.stringify({ value: base64url(result) }),
  }
}

/** Wrap and unwrap of one data key. */
export function makePair(
  where: Pick<CallOptions, 'pathPrefix' | 'key' | 'alg'>,
  dataKey: Uint8Array,
  wrapped: Uint8Array,
): readonly [wrap: Call, unwrap: Call] {
  return [
    makeCall({ ...where, operation: 'wrapkey', value: dataKey, result: wrapped }),
    makeCall({ ...where, operation: 'unwrapkey', value: wrapped, result: dataKey }),
  ]
}

export const isRight = (call: Call, { status, body }: Reply): boolean => status === 200 && body === call.body

export function assertRight(call: Call, reply: Reply): void {
  if (!isRight(call, reply)) throw new Error(`a wrong reply: ${reply.status} ${reply.body}`)
}
