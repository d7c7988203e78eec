import { Agent, request } from 'node:https'
import type { IncomingHttpHeaders } from 'node:http'
import { connect, createSecureContext, type ConnectionOptions, type SecureContext, type TLSSocket } from 'node:tls'
import type { Identity, Pki } from './pki.ts'

export const API = 'api-version=0.1-preview'
export const CONTEXT = { request_id: 'r-1', correlation_id: 'c-1', pool_name: 'p-1' }

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  readonly json: Record<string, unknown>
}

export interface Wanted {
  readonly method?: string
  readonly path: string
  readonly headers?: Record<string, string | string[]>
  /** An object is sent as JSON. */
  readonly body?: unknown
  /** The body follows the head when it resolves. */
  readonly bodyAfter?: Promise<unknown>
  readonly agent?: Agent
}

/** The TLS options of a client that connects as `identity`, or without a certificate for `null`. */
export const tlsOptions = (pki: Pki, identity: Identity | null = pki.client): ConnectionOptions => ({
  ca: pki.serverCa.certificate,
  ...(identity && { cert: identity.certificate, key: identity.key }),
})

const contexts = new WeakMap<Pki, Map<Identity | null, SecureContext>>()

/** Memoised: making a secure context takes longer than a handshake. */
function contextOf(pki: Pki, identity: Identity | null): SecureContext {
  const ofPki = contexts.get(pki) ?? new Map<Identity | null, SecureContext>()
  contexts.set(pki, ofPki)
  const context = ofPki.get(identity) ?? createSecureContext(tlsOptions(pki, identity))
  ofPki.set(identity, context)
  return context
}

export const makeAgent = (pki: Pki, identity: Identity | null = pki.client) =>
  new Agent({ secureContext: contextOf(pki, identity), keepAlive: true, maxSockets: 32 })

/** Sends one request over HTTPS. Without an agent it opens a connection of its own. */
export function send(port: number, pki: Pki, wanted: Wanted, identity: Identity | null = pki.client): Promise<Reply> {
  const raw = wanted.body === undefined ? undefined : bodyBytes(wanted.body)
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: 'localhost',
      port,
      method: wanted.method ?? 'POST',
      path: wanted.path,
      headers: {
        'content-type': 'application/json',
        ...(raw && { 'content-length': String(raw.length) }),
        ...wanted.headers,
      },
      ...(wanted.agent ? { agent: wanted.agent } : { agent: false, secureContext: contextOf(pki, identity) }),
    })
    outgoing.on('error', reject)
    outgoing.on('response', (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('error', reject)
      incoming.on('end', () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text, json: parse(text) }),
      )
    })
    if (wanted.bodyAfter === undefined) return void outgoing.end(raw)
    outgoing.flushHeaders()
    void wanted.bodyAfter.then(() => outgoing.end(raw))
  })
}

function bodyBytes(body: unknown): Buffer {
  if (Buffer.isBuffer(body)) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return {}
  }
}

export function openSocket(port: number, pki: Pki, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: 'localhost', port, ...tlsOptions(pki), ...options }, () => resolve(socket))
    socket.once('error', reject)
  })
}

let addresses = 0

/** An unused loopback address. It identifies the client's audit record, and separates clients from each other. */
export function newAddress(): string {
  addresses += 1
  return `127.${1 + (addresses >> 16)}.${(addresses >> 8) & 0xff}.${addresses & 0xff}`
}

export function openSocketFrom(localAddress: string, port: number, pki: Pki, options: ConnectionOptions = {}) {
  const from = { host: '127.0.0.1', servername: 'localhost', localAddress }
  return openSocket(port, pki, { ...from, ...options })
}

/** Writes `bytes` unchanged, and reads until the server closes the connection. */
export async function exchangeRaw(
  port: number,
  pki: Pki,
  bytes: string | Buffer,
  identity?: Identity | null,
  localAddress = '127.0.0.1',
) {
  const nobody = { cert: undefined, key: undefined }
  const socket = await openSocketFrom(localAddress, port, pki, { ...nobody, ...tlsOptions(pki, identity) })
  return new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
    socket.on('error', () => resolve(text))
    socket.on('close', () => resolve(text))
    socket.write(bytes)
  })
}
