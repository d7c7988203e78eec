import { randomUUID } from 'node:crypto'

export const API_VERSION = '0.1-preview'
export const API_QUERY = `api-version=${API_VERSION}`

/** The member that every body has. */
export const requestContext = () => ({
  request_context: { request_id: randomUUID(), correlation_id: randomUUID(), pool_name: 'conformance' },
})

/** The spelling of bytes in a `value`. */
export const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** Whether a path behind the prefix is that of a call. */
export const isCall = (path: string): boolean => /^(?:info|[A-Za-z0-9-]+\/(?:metadata|wrapkey|unwrapkey))$/.test(path)
