import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'

const READ_BYTES = 16 * 1024

/** The address and the identity for requests. */
export interface Target {
  readonly port: number
  /** This machine by default. */
  readonly host?: string
  /** The client's local address. */
  readonly localAddress?: string
  readonly secureContext: SecureContext
}

export const makeTarget = (port: number, tls: { ca: string; cert: string; key: string }): Target => ({
  port,
  secureContext: createSecureContext({ ...tls, minVersion: 'TLSv1.3' }),
})

export interface Reply {
  readonly status: number
  /** The status line and the header. */
  readonly head: string
  readonly body: string
}

type OnReply = (reply: Reply) => void

/** One request on a connection of its own. */
export async function askOnce(target: Target, request: Buffer): Promise<Reply> {
  const connection = await HttpConnection.open(target)
  try {
    return await connection.exchange(request)
  } finally {
    connection.close()
  }
}

export interface ConnectOptions {
  /** {@link HttpConnection.session} of an earlier connection. */
  readonly session?: Buffer | undefined
}

/**
 * The client side of HTTP/1.1 with as little work as possible, so that one core of load keeps one core of server busy.
 * Request bytes are made beforehand. Of a reply only status, Content-Length and body are read.
 */
export class HttpConnection {
  /** Whether the handshake resumed a session. */
  readonly resumed: boolean
  readonly #socket: TLSSocket
  #received = ''
  #onReply: OnReply | undefined
  #onLost: ((error: Error) => void) | undefined
  #session: Buffer | undefined

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    this.resumed = socket.isSessionReused()
    const lost = (error?: Error) => this.#onLost?.(error ?? new Error('the server closed the connection'))
    socket.on('error', lost)
    socket.on('close', () => lost())
  }

  static open({ secureContext, ...where }: Target, { session }: ConnectOptions = {}): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      let connection: HttpConnection | undefined
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
      const callback = (length: number) => {
        if (connection !== undefined) connection.#take(buffer.toString('latin1', 0, length))
        return true
      }
      // Skips the stream's path for each chunk. The types of tls.connect do not know this option.
      const reading = { onread: { buffer, callback } }
      const socket = connect({
        ...reading,
        host: '127.0.0.1',
        ...where,
        servername: 'localhost',
        secureContext,
        ...(session && { session }),
      })
      socket.setNoDelay(true)
      let given: Buffer | undefined
      socket.on('session', (latest) => {
        given = latest
        if (connection !== undefined) connection.#session = latest
      })
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        socket.off('error', reject)
        connection = new HttpConnection(socket)
        connection.#session = given
        resolve(connection)
      })
    })
  }

  /** The latest session for resumption. The server sends it no later than the first reply. */
  get session(): Buffer | undefined {
    return this.#session
  }

  /** Sends one request. The previous reply must have arrived. */
  send(request: Buffer, onReply: OnReply): void {
    this.#onReply = onReply
    this.#socket.write(request)
  }

  /** Rejects when the connection is lost. */
  exchange(request: Buffer): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#onLost = reject
      this.send(request, resolve)
    })
  }

  onLost(handler: (error: Error) => void): void {
    this.#onLost = handler
  }

  /** Half-closes the connection, and waits until the server has closed it. */
  end(): Promise<void> {
    this.#onLost = undefined
    return new Promise((resolve) => this.#socket.once('close', () => resolve()).end())
  }

  close(): void {
    this.#onLost = undefined
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#received += text
    const headEnd = this.#received.indexOf('\r\n\r\n')
    if (headEnd === -1) return
    const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(this.#received) ?? []
    const end = headEnd + 4 + Number(length ?? 0)
    if (this.#received.length < end) return
    const head = this.#received.slice(0, headEnd)
    const reply = { status: Number(head.slice(9, 12)), head, body: this.#received.slice(headEnd + 4, end) }
    this.#received = this.#received.slice(end)
    const onReply = this.#onReply
    this.#onReply = undefined
    if (onReply === undefined) this.#onLost?.(new Error(`a reply without a request: ${reply.body}`))
    else onReply(reply)
  }
}
