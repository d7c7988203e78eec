import type { IncomingMessage } from 'node:http'
import { isHost } from './host.ts'
import { refuse } from './proxy-error.ts'

/** As Node.js looks for it. */
const MEETABLE = /(?:^|\W)100-continue(?:$|\W)/i

const BAD_HOST = 'the Host header or the request target is malformed'
const malformed = (saying: string) => refuse('MALFORMED', { saying })

/**
 * Throws unless the header can be understood in one way only. RFC 9112 section 3.2 asks for 400 without one valid Host. Of
 * several Host or Content-Type headers Node.js shows the first, and something before the gateway may have taken the last.
 */
export function assertSound({ headers, rawHeaders, httpVersionMinor }: IncomingMessage): void {
  let host: string | undefined
  let types = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    // Few names have these lengths, and to measure a name costs less than to lower it.
    if (name.length === 4 && name.toLowerCase() === 'host') {
      if (host !== undefined) throw malformed('the request has more than one Host header')
      host = rawHeaders[at + 1] ?? ''
    } else if (name.length === 12 && name.toLowerCase() === 'content-type') types += 1
  }
  if (host === undefined ? httpVersionMinor > 0 : !isHost(host)) throw malformed(BAD_HOST)
  if (types > 1) throw malformed('the request has more than one Content-Type header')
  const { expect } = headers
  if (expect !== undefined && httpVersionMinor > 0 && !MEETABLE.test(expect)) throw refuse('EXPECTATION')
}

/** A request target, taken apart and otherwise as it was sent. */
export interface Target {
  readonly path: string
  /** Without its question mark; absent where there is none. */
  readonly query: string | undefined
}

const ABSOLUTE = /^https:\/\/([^/?#]*)/i

/**
 * Takes a target apart. Nothing is decoded, and no dot segment is resolved: whoever compares a path or a query compares
 * what was sent. In absolute form, which RFC 9112 section 3.2.2 has every server accept, the host says nothing: pools are
 * told apart by their paths.
 */
export function parseTarget(target: string): Target {
  const [origin = '', authority] = ABSOLUTE.exec(target) ?? []
  if (authority !== undefined && !isHost(authority)) throw malformed(BAD_HOST)
  const queryStart = target.indexOf('?', origin.length)
  if (queryStart === -1) return { path: target.slice(origin.length), query: undefined }
  return { path: target.slice(origin.length, queryStart), query: target.slice(queryStart + 1) }
}

/** What a query has for `name`, in the order in which it was sent; the empty text for a name without a value. */
export function valuesOf(query: string | undefined, name: string): string[] {
  return (query?.split('&') ?? [])
    .filter((parameter) => parameter === name || parameter.startsWith(`${name}=`))
    .map((parameter) => parameter.slice(name.length + 1))
}
