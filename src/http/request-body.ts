import { isUtf8 } from 'node:buffer'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AdapterError } from '../../adapters/contract/index.ts'
import type { Call } from '../ekm/backend/call.ts'
import { RequestInvalid } from '../ekm/request-invalid.ts'
import { refuse } from './proxy-error.ts'

/** How much of a body that is too large is read, in bytes and in milliseconds, before it is refused. */
const LINGER = { bytes: 1024 * 1024, ms: 100 } as const

/** Throws unless the header announces JSON of at most `maxBytes`. A client that expects 100 Continue gets it. */
export function assertWanted(incoming: IncomingMessage, outgoing: ServerResponse, maxBytes: number): void {
  const { 'content-type': type = '', 'content-encoding': encoding, expect } = incoming.headers
  if (!/^application\/json[\t ]*(?:;|$)/i.test(type) || encoding !== undefined) throw refuse('CONTENT_TYPE')
  // HTTP/1.0 has no interim responses.
  if (expect === undefined || incoming.httpVersionMinor === 0) return
  if (declaredBytes(incoming) > maxBytes) throw tooLarge(maxBytes)
  outgoing.writeContinue()
}

const declaredBytes = ({ headers }: IncomingMessage): number => Number(headers['content-length'] ?? 0)

const malformed = Symbol('malformed body')

/** Tells the reader of the body of `incoming` that the parser failed on it. */
export const reportMalformedBody = (incoming: IncomingMessage): boolean => incoming.emit(malformed)

const tooLarge = (maxBytes: number) =>
  refuse('BODY_TOO_LARGE', { saying: `the request body is larger than ${maxBytes} bytes` })

/**
 * Reads the body of a request that passed {@link assertWanted}, before the call's deadline. On wrapkey the body holds a
 * data key. The caller zeroes it, as {@link parseJsonObject} does.
 */
export function readBody(incoming: IncomingMessage, maxBytes: number, call: Call): Promise<Buffer> {
  return call.wait((resolve, reject) => {
    const chunks: Buffer[] = []
    const wipe = () => {
      for (const chunk of chunks) chunk.fill(0)
    }
    const fail = (error: Error) => {
      wipe()
      reject(error)
    }
    let length = 0
    let lingering: NodeJS.Timeout | undefined
    const refuseSize = () => {
      clearTimeout(lingering)
      fail(tooLarge(maxBytes))
    }
    // A client that still writes when its connection is closed may never see the reply.
    const linger = () => {
      wipe()
      chunks.length = 0
      lingering ??= setTimeout(refuseSize, LINGER.ms)
    }
    if (declaredBytes(incoming) > maxBytes) linger()
    incoming.on('data', (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length > maxBytes) linger()
      if (length > maxBytes + LINGER.bytes) refuseSize()
    })
    // Only the first of these events counts. `once` would cost more.
    incoming.on('end', () => {
      if (lingering !== undefined) return refuseSize()
      if (call.signal.aborted) return wipe()
      const [first] = chunks
      if (chunks.length === 1 && first !== undefined) return resolve(first)
      resolve(Buffer.concat(chunks))
      wipe()
    })
    incoming.on(malformed, () => fail(refuse('MALFORMED')))
    incoming.on('error', () => fail(new AdapterError('CANCELLED', 'the request ended before its body was complete')))
  })
}

/** Parses the object in a body of JSON, and zeroes the body. */
export function parseJsonObject(bytes: Buffer): object {
  try {
    return parseObject(bytes)
  } finally {
    bytes.fill(0)
  }
}

function parseObject(bytes: Buffer): object {
  if (!isUtf8(bytes)) throw new RequestInvalid('the request body is not UTF-8')
  let body: unknown
  try {
    body = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new RequestInvalid('the request body is not JSON')
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body
  throw new RequestInvalid('the request body is not a JSON object')
}
