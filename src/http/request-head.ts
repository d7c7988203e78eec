import type { IncomingMessage } from 'node:http'
import { isHost } from './host.ts'
import { refuse } from './proxy-error.ts'

/** The pattern that Node.js itself uses. */
const MEETABLE = /(?:^|\W)100-continue(?:$|\W)/i

const BAD_HOST = 'the Host header or the request target is malformed'
const malformed = (saying: string) => refuse('MALFORMED', { saying })

/**
 * Throws unless the header has only one interpretation. RFC 9112 section 3.2 requires 400 for a request without exactly
 * one valid Host. Of several Host or Content-Type headers Node.js shows the first, and a hop before the gateway may
 * have used the last.
 */
export function assertSound({ headers, rawHeaders, httpVersionMinor }: IncomingMessage): void {
  let host: string | undefined
  let types = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]?.toLowerCase()
    if (name === 'host') {
      if (host !== undefined) throw malformed('the request has more than one Host header')
      host = rawHeaders[at + 1] ?? ''
    } else if (name === 'content-type') types += 1
  }
  if (host === undefined ? httpVersionMinor > 0 : !isHost(host)) throw malformed(BAD_HOST)
  if (types > 1) throw malformed('the request has more than one Content-Type header')
  const { expect } = headers
  if (expect !== undefined && httpVersionMinor > 0 && !MEETABLE.test(expect)) throw refuse('EXPECTATION')
}

/** The parts of a request target, otherwise as it was sent. */
export interface Target {
  readonly path: string
  /** Without the question mark. Undefined if there is none. */
  readonly query: string | undefined
}

const ABSOLUTE = /^https:\/\/([^/?#]*)/i

/**
 * Splits a target. Nothing is decoded, and no dot segment is resolved: paths and queries are compared as they were
 * sent. In absolute form, which RFC 9112 section 3.2.2 requires servers to accept, the host is ignored, because pools
 * differ by their paths.
 */
export function parseTarget(target: string): Target {
  const [origin = '', authority] = ABSOLUTE.exec(target) ?? []
  if (authority !== undefined && !isHost(authority)) throw malformed(BAD_HOST)
  const queryStart = target.indexOf('?', origin.length)
  if (queryStart === -1) return { path: target.slice(origin.length), query: undefined }
  return { path: target.slice(origin.length, queryStart), query: target.slice(queryStart + 1) }
}

/** The values of `name` in a query, in the order in which they were sent. A name without a value has the empty text. */
export function valuesOf(query: string | undefined, name: string): string[] {
  return (query?.split('&') ?? [])
    .filter((parameter) => parameter === name || parameter.startsWith(`${name}=`))
    .map((parameter) => parameter.slice(name.length + 1))
}
