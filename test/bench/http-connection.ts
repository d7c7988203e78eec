import { connect, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'

const READ_BYTES = 16 * 1024

/** Where requests go, and as whom. */
export interface Target {
  readonly port: number
  readonly secureContext: SecureContext
}

export const makeTarget = (port: number, tls: { ca: string; cert: string; key: string }): Target => ({
  port,
  secureContext: createSecureContext({ ...tls, minVersion: 'TLSv1.3' }),
})

export interface Reply {
  readonly status: number
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
  /** What {@link HttpConnection.session} of an earlier connection was. */
  readonly session?: Buffer | undefined
}

/**
 * A client's side of HTTP/1.1 with as little work as can be, so that one core of it keeps one core of a server busy: the
 * bytes of a request are made beforehand, and of a reply only status, Content-Length and body are looked at.
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

  static open({ port, secureContext }: Target, { session }: ConnectOptions = {}): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      let connection: HttpConnection | undefined
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
      const callback = (length: number) => {
        if (connection !== undefined) connection.#take(buffer.toString('latin1', 0, length))
        return true
      }
      // Without a stream's way for each chunk. The types of tls.connect do not know it.
      const reading = { onread: { buffer, callback } }
      const socket = connect({
        ...reading,
        host: '127.0.0.1',
        servername: 'localhost',
        port,
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

  /** The latest that the server gave for resuming; it comes with the first reply at the latest. */
  get session(): Buffer | undefined {
    return this.#session
  }

  /** Sends one request; the reply before must have come. */
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

  /** Says that there is no more to come, and waits until the server has closed the connection. */
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
    const reply = { status: Number(this.#received.slice(9, 12)), body: this.#received.slice(headEnd + 4, end) }
    this.#received = this.#received.slice(end)
    const onReply = this.#onReply
    this.#onReply = undefined
    if (onReply === undefined) this.#onLost?.(new Error(`a reply that nobody asked for: ${reply.body}`))
    else onReply(reply)
  }
}
