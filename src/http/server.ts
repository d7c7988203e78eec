import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import type { Hono } from 'hono'
import { systemCode } from '../../adapters/contract/index.ts'
import { writeAudit, type Telemetry } from '../telemetry/audit.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { Line, type Place } from '../base/line.ts'
import type { Listener } from '../tls/listener.ts'
import type { Admission } from './admission.ts'
import type { AppEnv } from './app.ts'
import { Exchange, goneAway } from './exchange.ts'
import { recordOf, refuse, toProxyError, type ProxyError } from './proxy-error.ts'
import { reportMalformedBody } from './request-body.ts'

/** What requests are answered with. It can be another from one request to the next. */
export interface Served {
  readonly app: Hono<AppEnv>
  readonly admission: Admission
  readonly deadlines: Deadlines
}

/** The requests that a server is answering. */
export interface Requests {
  readonly underWay: number
  /** Waits until none is under way, at most `patienceMs`; resolves with how many are. */
  settled(patienceMs: number): Promise<number>
  /** Waits until those are done that are under way now, at most `patienceMs`. */
  passed(patienceMs: number): Promise<void>
  /** Whether one of a connection's requests is under way. */
  isServing(socket: object): boolean
  /** From now on the reply to a connection's last request ends it. */
  endConnections(): void
}

/**
 * Answers a listener's requests with the application, and with a ProxyError those that never reach it: what Node.js's
 * parser refuses, and CONNECT.
 */
export function serveHttp(listener: Listener, served: () => Served, telemetry: Telemetry): Requests {
  const { server } = listener
  const requests = new RequestCount()
  listener.idleSince = (socket) => requests.idleSince(socket)

  /** For an error that the application could not answer itself, which only a bug makes. */
  const answerBug = (incoming: IncomingMessage, outgoing: ServerResponse, error: unknown) => {
    const { admission, deadlines } = served()
    const exchange = new Exchange(incoming, outgoing, listener.clientOf(incoming.socket), deadlines, telemetry)
    try {
      return exchange.fail(admission.refusalOf(exchange.client) ?? error)
    } finally {
      exchange.end()
    }
  }

  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming
    if (!listener.isAllowed(socket)) {
      // It gets one answer, and what it sent behind that is nobody's request: thousands fit into one read.
      if (requests.isServing(socket) || !socket.writable) return
      outgoing.shouldKeepAlive = false
    }
    requests.begin(socket, outgoing)
    // Node.js drops what came with a request for an upgrade that it does not make, and the rest would be taken for another.
    if (incoming.headers.upgrade !== undefined) outgoing.shouldKeepAlive = false
    const target = hideTarget(incoming)
    const errorHandler = (error: unknown) => answerBug(incoming, outgoing, error)
    const dispatch = () => {
      const { app } = served()
      const fetch = (request: Request) => app.fetch(request, { incoming, outgoing, target })
      void getRequestListener(fetch, { errorHandler })(incoming, outgoing)
    }
    const judged = listener.refresh(incoming.socket)
    if (judged === undefined) dispatch()
    else void judged.then(dispatch)
  }
  server.on('request', answer)
  server.on('checkContinue', answer)
  server.on('checkExpectation', answer)

  /** For what is not even a request: written past Node.js's response object, of which there is none. */
  const answerRaw = (socket: Duplex, refusal: ProxyError) => {
    const client = listener.clientOf(socket)
    const cause = served().admission.refusalOf(client) ?? refusal
    const isGone = !socket.writable
    writeAudit(telemetry, { ...recordOf(isGone ? toProxyError(goneAway()) : cause), total_ms: 0 }, client.audit)
    if (!isGone) socket.write(rawReply(cause))
    closeGently(socket)
  }
  server.on('connect', (_incoming: IncomingMessage, socket: Duplex) => {
    // Node.js listens to the connection no more.
    socket.on('error', ignore)
    requests.whenAnswered(socket, () => answerRaw(socket, refuse('METHOD_NOT_ALLOWED')))
  })
  server.on('clientError', (error: Error, socket: Duplex) => {
    const code = systemCode(error)
    const current = requests.currentOf(socket)
    if (socket.destroyed || !isRequestError(code)) socket.destroy()
    // An answer has closed it, and may be on its way.
    else if (!socket.writable) return
    else if (current === undefined) answerRaw(socket, parserRefusal(code))
    else if (!current.req.complete) reportMalformedBody(current.req)
    // The trouble is behind a request that is being answered: that answer goes out, and nothing after it.
    else requests.whenAnswered(socket, () => closeGently(socket))
  })
  return requests
}

const ignore = () => undefined

function rawReply({ status, code, message, headers }: ProxyError): string {
  const body = JSON.stringify({ code, message })
  const head = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`
}

/** A client that still writes when its connection is closed may never see the reply: it is read from for a while. */
const LINGER_MS = 100

function closeGently(socket: Duplex): void {
  const patience = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(patience))
  socket.resume()
  socket.end()
}

/**
 * Takes a request's target and host away from node-server, which makes a URL of them: a URL parser resolves, decodes, drops
 * or refuses parts of it. The application looks at what was sent.
 */
function hideTarget(incoming: IncomingMessage): string {
  const { url = '' } = incoming
  incoming.url = '/'
  incoming.headers.host = 'localhost'
  return url
}

/** Codes of Node.js's HTTP parser and its timers, as opposed to those of a socket that failed. */
const isRequestError = (code: string) => code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT'

function parserRefusal(code: string): ProxyError {
  if (code === 'HPE_HEADER_OVERFLOW') return refuse('HEADERS_TOO_LARGE', { detail: code })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuse('REQUEST_TIMEOUT', { detail: code })
  return refuse('MALFORMED', { detail: code })
}

interface Connection {
  /** The request that is being answered: of several, the last. */
  current: Place<ServerResponse> | undefined
  /** When the last one was answered, on `performance.now()`'s clock. */
  idleSince: number
  /** The requests whose answers wait behind others. */
  readonly waiting: Line<ServerResponse>
}

class RequestCount implements Requests {
  readonly #underWay = new Line<ServerResponse>()
  readonly #connections = new WeakMap<object, Connection>()
  #onNone: (() => void) | undefined
  /** Replies that end their connection for no other reason than that all end. */
  #last: WeakSet<ServerResponse> | undefined

  get underWay(): number {
    return this.#underWay.size
  }

  /** HTTP/1.1 answers in order: a connection has one request that is being answered, and others may wait behind it. */
  begin(socket: Socket, outgoing: ServerResponse): void {
    const connection = this.#connectionOf(socket)
    if (connection.current !== undefined) {
      this.#keepAlive(connection.current.value)
      this.#underWay.leave(connection.current)
      const waiting = connection.waiting.join(outgoing)
      outgoing.on('close', () => connection.waiting.leave(waiting))
    }
    const place = this.#underWay.join(outgoing)
    connection.current = place
    this.#makeLast(outgoing)
    outgoing.on('close', () => {
      if (connection.current === place) this.#end(connection)
    })
  }

  endConnections(): void {
    this.#last ??= new WeakSet()
    for (const outgoing of this.#underWay.values()) this.#makeLast(outgoing)
  }

  #makeLast(outgoing: ServerResponse): void {
    if (this.#last === undefined || !outgoing.shouldKeepAlive) return
    this.#last.add(outgoing)
    outgoing.shouldKeepAlive = false
  }

  /** Another request came behind it, which would have no reply. */
  #keepAlive(outgoing: ServerResponse): void {
    if (this.#last?.delete(outgoing) === true) outgoing.shouldKeepAlive = true
  }

  #connectionOf(socket: Socket): Connection {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const connection: Connection = { current: undefined, idleSince: 0, waiting: new Line() }
    this.#connections.set(socket, connection)
    // A reply that still waits behind another when its connection dies is never told so by Node.js.
    socket.once('close', () => {
      for (const outgoing of connection.waiting.values()) if (outgoing.socket === null) outgoing.destroy().emit('close')
      this.#end(connection)
    })
    return connection
  }

  #end(connection: Connection): void {
    if (connection.current === undefined) return
    this.#underWay.leave(connection.current)
    connection.current = undefined
    connection.idleSince = performance.now()
    if (this.#underWay.size === 0) this.#onNone?.()
  }

  currentOf(socket: object): ServerResponse | undefined {
    return this.#connections.get(socket)?.current?.value
  }

  /** Acts once all requests of a connection are answered, or cannot be any more. */
  whenAnswered(socket: object, act: () => void): void {
    const current = this.currentOf(socket)
    if (current === undefined) act()
    else current.once('close', act)
  }

  isServing(socket: object): boolean {
    return this.currentOf(socket) !== undefined
  }

  /** Infinity while one of a connection's requests is under way, undefined if there never was one. */
  idleSince(socket: object): number | undefined {
    const connection = this.#connections.get(socket)
    return connection?.current === undefined ? connection?.idleSince : Infinity
  }

  async passed(patienceMs: number): Promise<void> {
    const current = this.#underWay
      .values()
      .map((outgoing) => new Promise<void>((resolve) => void outgoing.once('close', resolve)))
    if (current.length === 0) return
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)))
    await Promise.race([Promise.all(current), patience])
    clearTimeout(timer)
  }

  async settled(patienceMs: number): Promise<number> {
    if (this.underWay === 0) return 0
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, patienceMs)
      this.#onNone = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    return this.underWay
  }
}
