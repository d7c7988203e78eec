import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { isIP } from 'node:net'
import { connect, createSecureContext, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { ClientIdentity, Target } from './target.ts'

const CONNECTIONS = 8
const REQUEST_MS = 10_000
/** The most bytes to read of a reply. No reply of the API is nearly as long. */
const MAX_REPLY_BYTES = 1_000_000

export interface Wanted {
  readonly method?: string
  /** The path with its query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** The agent to use instead of the kept-alive connections. */
  readonly agent?: Agent
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** From handing the request to the system or to its connection's queue, until the last byte of the answer. */
  readonly milliseconds: number
}

/** The options for a connection to the proxy as `identity`; for `null`, without a client certificate. */
export function tlsOptions({ host, port, ca, client }: Target, identity: ClientIdentity | null = client) {
  return {
    host,
    port,
    ca,
    // TLS has no server name for an IP address (RFC 6066 section 3).
    ...(isIP(host) === 0 && { servername: host }),
    ...(identity && { cert: identity.certificate, key: identity.key }),
    minVersion: 'TLSv1.2',
    // Another case judges the server's name. A wrong name must not prevent all others.
    checkServerIdentity: () => undefined,
  } satisfies ConnectionOptions
}

export function makeAgent(target: Target, maxSockets = CONNECTIONS): Agent {
  const { ca, cert, key, minVersion, ...options } = tlsOptions(target)
  // All connections share one context, because creating one takes longer than a handshake.
  const secureContext = createSecureContext({ ca, cert, key, minVersion })
  // Each connection does a full handshake. Resumption is tested and measured by its own cases.
  return new Agent({ ...options, secureContext, keepAlive: true, maxSockets, maxCachedSessions: 0 })
}

/** Sends one request and reads the whole answer. Rejects if there is none. */
export async function exchange(target: Target, agent: Agent, wanted: Wanted): Promise<Answer> {
  try {
    return await attempt(target, agent, wanted)
  } catch (error) {
    // The other side may close a kept connection at this very moment. A new connection shows whether the proxy answers.
    if (error instanceof StaleConnection) return attempt(target, agent, wanted)
    throw error
  }
}

class StaleConnection extends Error {}

function attempt(target: Target, agent: Agent, wanted: Wanted): Promise<Answer> {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: target.host,
      port: target.port,
      method: wanted.method ?? 'POST',
      path: wanted.path,
      agent: wanted.agent ?? agent,
      timeout: REQUEST_MS,
      ...(wanted.signal && { signal: wanted.signal }),
      headers: {
        'content-type': 'application/json',
        ...(wanted.body !== undefined && { 'content-length': String(Buffer.byteLength(wanted.body)) }),
        ...wanted.headers,
      },
    })
    let answered = false
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${REQUEST_MS / 1000} s`)))
    outgoing.on('error', (error) => {
      // Some proxies answer before they have read everything. Writing the rest then fails, but the answer counts.
      if (answered) return
      const stale = outgoing.reusedSocket && 'code' in error && error.code === 'ECONNRESET'
      reject(stale ? new StaleConnection(error.message) : error)
    })
    outgoing.on('response', (incoming) => {
      answered = true
      const chunks: Buffer[] = []
      let length = 0
      incoming.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length <= MAX_REPLY_BYTES) chunks.push(chunk)
      })
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          text: Buffer.concat(chunks).toString('utf8'),
          milliseconds: performance.now() - start,
        }),
      )
    })
    outgoing.end(wanted.body)
  })
}

/** How a connection of {@link openSocket} ended that received nothing. */
export class Silence extends Error {}

/** Opens a TLS connection of its own. Rejects if the handshake fails. */
export function openSocket(options: ConnectionOptions, signal?: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect(options, () => resolve(socket))
    socket.once('error', reject)
    socket.setTimeout(REQUEST_MS, () => socket.destroy(new Silence(`no answer within ${REQUEST_MS / 1000} s`)))
    signal?.addEventListener('abort', () => socket.destroy(new Error('the case ran out of time')), { once: true })
  })
}

/**
 * Sends bytes as they are and reads the first answer that is not a 1xx.
 * @returns the answer; undefined if the connection ended without one, as it may for a client that is refused
 */
export function exchangeRaw(socket: TLSSocket, bytes: string | Buffer, patienceMs = REQUEST_MS) {
  const start = performance.now()
  socket.setTimeout(patienceMs)
  return new Promise<Answer | undefined>((resolve) => {
    let text = ''
    const finish = (answer: Answer | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    const look = (ended: boolean) => {
      const answer = parseAnswer(text, ended)
      if (answer) finish({ ...answer, milliseconds: performance.now() - start })
      else if (ended) finish(undefined)
    }
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      look(false)
    })
    socket.on('error', () => look(true))
    socket.on('close', () => look(true))
    socket.write(bytes)
  })
}

function parseAnswer(all: string, ended: boolean): Omit<Answer, 'milliseconds'> | undefined {
  const text = all.replace(/^(?:HTTP\/1\.1 1\d\d [^]*?\r\n\r\n)+/, '')
  const end = text.indexOf('\r\n\r\n')
  const [, status] = /^HTTP\/1\.[01] (\d{3})/.exec(text) ?? []
  if (status === undefined || end === -1) return undefined
  const headers: Record<string, string> = {}
  for (const line of text.slice(0, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = Buffer.from(text.slice(end + 4), 'latin1')
  const length = headers['content-length']
  if (!ended && (length === undefined ? !/\r\n0\r\n\r\n$/.test(text) : body.length < Number(length))) return undefined
  const plain = headers['transfer-encoding'] === undefined ? body.toString('utf8') : unchunk(body).toString('utf8')
  return { status: Number(status), headers, text: plain }
}

function unchunk(body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const line = body.indexOf('\r\n', at)
    const size = line === -1 ? 0 : Number.parseInt(body.toString('latin1', at, line), 16)
    if (!(size > 0)) break
    parts.push(body.subarray(line + 2, line + 2 + size))
    at = line + 2 + size + 2
  }
  return Buffer.concat(parts)
}
