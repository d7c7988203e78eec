import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Hono } from 'hono'
import { systemCode } from '../../adapters/contract/index.ts'
import { writeAudit, type Telemetry } from '../telemetry/audit.ts'
import type { Deadlines } from '../base/deadlines.ts'
import { Queue, type Place } from '../base/queue.ts'
import type { Listener } from '../tls/listener.ts'
import type { Admission } from './admission.ts'
import type { AppEnv } from './app.ts'
import { Exchange, goneAway } from './exchange.ts'
import { recordOf, refuse, toProxyError, type ProxyError } from './proxy-error.ts'
import { reportMalformedBody } from './request-body.ts'
import { unreadRequest } from './unread.ts'

/** What answers requests. It can change from one request to the next. */
export interface Served {
  readonly app: Hono<AppEnv>
  readonly admission: Admission
  readonly deadlines: Deadlines
}

/** The requests that a server is answering. */
export interface Requests {
  readonly underWay: number
  /**
   * Waits at most `patienceMs` milliseconds until no request is running.
   * @returns how many are still running
   */
  settled(patienceMs: number): Promise<number>
  /** Waits at most `patienceMs` milliseconds for the requests that are running now. */
  passed(patienceMs: number): Promise<void>
  /** Whether a request of this connection is running. */
  isServing(socket: object): boolean
  /** From now on, the reply to a connection's last request ends the connection. */
  endConnections(): void
}

/**
 * Answers a listener's requests with the application. Requests that never reach it (refused by Node.js's parser, and
 * CONNECT) get a ProxyError.
 */
export function serveHttp(listener: Listener, served: () => Served, telemetry: Telemetry): Requests {
  const { server } = listener
  const requests = new RequestCount()
  listener.idleSince = (socket) => requests.idleSince(socket)

  /** For an error that the application could not answer itself. Only a bug causes one. */
  const answerBug = (incoming: IncomingMessage, outgoing: ServerResponse, error: unknown) => {
    const { admission, deadlines } = served()
    const exchange = new Exchange(incoming, outgoing, listener.clientOf(incoming.socket), deadlines, telemetry)
    try {
      exchange.fail(admission.refusalOf(exchange.client) ?? error)
      exchange.end()
    } catch {
      // Neither a record nor an answer is possible.
      outgoing.destroy()
    }
  }

  const dispatch = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    try {
      await served().app.fetch(unreadRequest, { incoming, outgoing })
    } catch (error) {
      answerBug(incoming, outgoing, error)
    }
  }

  const answer = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { socket } = incoming
    if (!listener.isAllowed(socket)) {
      // The connection gets one answer. What was sent behind the bad request is not a request, and thousands of them
      // fit into one read.
      if (requests.isServing(socket) || !socket.writable) return
      outgoing.shouldKeepAlive = false
    }
    requests.begin(socket, outgoing)
    // Node.js drops what followed a request for an upgrade that it does not make. The remaining bytes would be read as
    // another request.
    if (incoming.headers.upgrade !== undefined) outgoing.shouldKeepAlive = false
    const judged = listener.refresh(socket)
    if (judged === undefined) void dispatch(incoming, outgoing)
    else void judged.then(() => dispatch(incoming, outgoing))
  }
  server.on('request', answer)
  server.on('checkContinue', answer)
  server.on('checkExpectation', answer)

  /** For bytes that are not a request: there is no response object, so it writes to the socket. */
  const answerRaw = (socket: Duplex, refusal: ProxyError) => {
    const client = listener.clientOf(socket)
    const cause = served().admission.refusalOf(client) ?? refusal
    const isGone = !socket.writable
    writeAudit(telemetry, { ...recordOf(isGone ? toProxyError(goneAway()) : cause), total_ms: 0 }, client.audit)
    if (!isGone) socket.write(rawReply(cause))
    closeGently(socket)
  }
  server.on('connect', (_incoming: IncomingMessage, socket: Duplex) => {
    // Node.js has removed its own listener from the connection.
    socket.on('error', ignore)
    requests.whenAnswered(socket, () => answerRaw(socket, refuse('METHOD_NOT_ALLOWED')))
  })
  server.on('clientError', (error: Error, socket: Duplex) => {
    const code = systemCode(error)
    const current = requests.currentOf(socket)
    if (socket.destroyed || !isRequestError(code)) socket.destroy()
    // An answer has closed the connection, and may be on its way.
    else if (!socket.writable) return
    else if (current === undefined) answerRaw(socket, parserRefusal(code))
    else if (!current.req.complete) reportMalformedBody(current.req)
    // The malformed bytes follow a request that is being answered. That answer is sent, and nothing after it.
    else requests.whenAnswered(socket, () => closeGently(socket))
  })
  return requests
}

const ignore = () => undefined

// `import` reads every export of node:http, and for `WebSocket` Node.js loads all of its fetch.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

function rawReply({ status, code, message, headers }: ProxyError): string {
  const body = JSON.stringify({ code, message })
  const head = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...headers }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${body}`
}

/**
 * Milliseconds for which a closing connection is still read: a client that still writes may otherwise never see the
 * reply.
 */
const LINGER_MS = 100

function closeGently(socket: Duplex): void {
  const patience = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(patience))
  socket.resume()
  socket.end()
}

/** Codes of Node.js's HTTP parser and timers. Other codes mean that a socket failed. */
const isRequestError = (code: string) => code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT'

function parserRefusal(code: string): ProxyError {
  if (code === 'HPE_HEADER_OVERFLOW') return refuse('HEADERS_TOO_LARGE', { detail: code })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return refuse('REQUEST_TIMEOUT', { detail: code })
  return refuse('MALFORMED', { detail: code })
}

/** The requests of one connection. */
interface Conversation {
  /** The request that is being answered: the last one, if there are several. */
  current: Place<ServerResponse> | undefined
  /** When the last request was answered, on `performance.now()`'s clock. */
  idleSince: number
  /** Requests whose answers wait behind others. */
  readonly waiting: Queue<ServerResponse>
}

class RequestCount implements Requests {
  readonly #underWay = new Queue<ServerResponse>()
  readonly #conversations = new WeakMap<object, Conversation>()
  #onNone: (() => void) | undefined
  /** Replies that end their connection only because all connections end. */
  #last: WeakSet<ServerResponse> | undefined

  get underWay(): number {
    return this.#underWay.size
  }

  /** HTTP/1.1 answers in order: a connection has one request that is being answered, and others may wait behind it. */
  begin(socket: Socket, outgoing: ServerResponse): void {
    const conversation = this.#conversationOf(socket)
    if (conversation.current !== undefined) {
      this.#keepAlive(conversation.current.value)
      this.#underWay.leave(conversation.current)
      const waiting = conversation.waiting.join(outgoing)
      outgoing.on('close', () => conversation.waiting.leave(waiting))
    }
    const place = this.#underWay.join(outgoing)
    conversation.current = place
    this.#makeLast(outgoing)
    outgoing.on('close', () => {
      if (conversation.current === place) this.#end(conversation)
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

  /** Another request has come behind it, which would get no reply. */
  #keepAlive(outgoing: ServerResponse): void {
    if (this.#last?.delete(outgoing) === true) outgoing.shouldKeepAlive = true
  }

  #conversationOf(socket: Socket): Conversation {
    const known = this.#conversations.get(socket)
    if (known !== undefined) return known
    const conversation: Conversation = { current: undefined, idleSince: 0, waiting: new Queue() }
    this.#conversations.set(socket, conversation)
    // Node.js does not tell a reply that waits behind another one that its connection has ended.
    socket.once('close', () => {
      for (const outgoing of conversation.waiting.values())
        if (outgoing.socket === null) outgoing.destroy().emit('close')
      this.#end(conversation)
    })
    return conversation
  }

  #end(conversation: Conversation): void {
    if (conversation.current === undefined) return
    this.#underWay.leave(conversation.current)
    conversation.current = undefined
    conversation.idleSince = performance.now()
    if (this.#underWay.size === 0) this.#onNone?.()
  }

  currentOf(socket: object): ServerResponse | undefined {
    return this.#conversations.get(socket)?.current?.value
  }

  /** Calls `act` once all requests of a connection are answered, or can no longer be. */
  whenAnswered(socket: object, act: () => void): void {
    const current = this.currentOf(socket)
    if (current === undefined) act()
    else current.once('close', act)
  }

  isServing(socket: object): boolean {
    return this.currentOf(socket) !== undefined
  }

  /** Infinity while a request of the connection is running. Undefined if there never was one. */
  idleSince(socket: object): number | undefined {
    const conversation = this.#conversations.get(socket)
    return conversation?.current === undefined ? conversation?.idleSince : Infinity
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
