import * as v from 'valibot'
import { isWrapAlgorithm, wrapAlgorithms, type WrapAlgorithm } from '../../adapters/contract/index.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'

/**
 * Azure sends it with every request, so that the logs of both sides can be joined (EKM Proxy API, "request_context").
 */
const requestContext = v.object(
  {
    request_id: v.nullish(v.string('must be a string')),
    correlation_id: v.string('must be a string'),
    pool_name: v.string('must be a string'),
  },
  'must be an object',
)

/** Members that the API does not define are ignored. */
export const contextBody = v.object({ request_context: requestContext }, 'must be an object')

export const wrapBody = v.object(
  {
    request_context: requestContext,
    alg: v.custom<WrapAlgorithm>(
      (name) => typeof name === 'string' && isWrapAlgorithm(name),
      `must be one of ${wrapAlgorithms.join(', ')}`,
    ),
    value: v.string('must be a string'),
  },
  'must be an object',
)

/** @throws RequestInvalid that names the first wrong member and what it must be */
export function parseBody<const Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, body, { abortEarly: true })
  if (parsed.success) return parsed.output
  const [issue] = parsed.issues
  const path = v.getDotPath(issue)
  // If a member is absent, its parent's schema fails with valibot's own message.
  const missing = issue.kind === 'schema' && issue.received === 'undefined'
  throw new RequestInvalid(`${path ?? 'the request body'} ${missing ? 'is required' : issue.message}`)
}

/** The bytes of `value`. The caller zeroes them. */
export function decodeValue(value: string): Buffer {
  const bytes = decodeBase64url(value)
  if (bytes !== undefined) return bytes
  throw new RequestInvalid('value is not base64url without padding (RFC 4648 section 5)')
}

/** The JSON of a reply that carries `bytes`. Base64url contains nothing that must be escaped. */
export const valueReply = (bytes: Uint8Array): string => `{"value":"${encodeBase64url(bytes)}"}`
