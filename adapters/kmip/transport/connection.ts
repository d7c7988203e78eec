import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { systemCode, type CallSignal } from '../../contract/index.ts'
import { FrameReader, TtlvError } from '../../ttlv-codec/src/index.ts'

/** The connection could not be made: nothing was sent. `code` is Node's or OpenSSL's. */
export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed'
  readonly code: string

  constructor(code: string) {
    super(`no connection: ${code}`)
    this.code = code
  }
}

/** The connection ended before the reply was complete. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost'
  /** Whether any part of the reply had come. */
  readonly replyStarted: boolean
  /** Node's or OpenSSL's, where it ended with an error. */
  readonly code: string | undefined

  constructor(replyStarted: boolean, code?: string) {
    super('the connection was lost')
    this.replyStarted = replyStarted
    this.code = code
  }
}

/** More than any reply that is asked for here: `keys list` asks for a page at a time. */
const MAX_REPLY_BYTES = 1_048_576

interface Waiting {
  readonly resolve: (frame: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/**
 * One TLS connection, with one request under way at a time: only so does a reply belong to its request on every server,
 * and only so is a cancelled request's late reply nobody else's.
 */
export class Connection {
  /** Called once, when the connection has ended for whatever reason. */
  onClose: () => void = () => undefined
  readonly #socket: TLSSocket
  readonly #reader: FrameReader
  #waiting: Waiting | undefined
  #replyStarted = false
  #code: string | undefined
  #exchanges = 0
  #open = true
  #sentAt = 0
  #lastUsed = performance.now()

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    this.#reader = new FrameReader((frame) => this.#deliver(frame), { maxBytes: MAX_REPLY_BYTES })
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    // In TLS 1.3 a refused client certificate shows only here: the handshake is complete for the client before the server
    // has looked at it.
    socket.on('error', (error) => {
      this.#code = systemCode(error)
      this.close()
    })
    socket.on('end', () => this.close())
    socket.on('close', () => this.close())
  }

  static open(options: ConnectionOptions, timeoutMs: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(options)
      socket.setNoDelay(true)
      const fail = (code: string) => {
        clearTimeout(timer)
        socket.destroy()
        reject(new ConnectFailed(code))
      }
      const timer = setTimeout(() => fail('ETIMEDOUT'), timeoutMs)
      const onError = (error: NodeJS.ErrnoException) => fail(error.code ?? 'UNKNOWN')
      const onEnd = () => fail('ECONNRESET')
      socket.once('error', onError)
      socket.once('close', onEnd)
      socket.once('secureConnect', () => {
        clearTimeout(timer)
        socket.off('error', onError)
        socket.off('close', onEnd)
        resolve(new Connection(socket))
      })
    })
  }

  get isOpen(): boolean {
    return this.#open
  }

  /** Whether an exchange succeeded on it before, so that its end may be the server's idle timeout and nothing worse. */
  get wasUsed(): boolean {
    return this.#exchanges > 0
  }

  /** When the last exchange ended, on `performance.now()`'s clock. */
  get lastUsed(): number {
    return this.#lastUsed
  }

  /** When the request was sent that is not answered yet, on the same clock. */
  get waitingSince(): number | undefined {
    return this.#waiting && this.#sentAt
  }

  /** Keeps the process from ending, or not: an idle connection should not. */
  set keepsAlive(busy: boolean) {
    if (busy) this.#socket.ref()
    else this.#socket.unref()
  }

  /**
   * Sends a request and gives the reply, a buffer that is the caller's to zero. `request` is zeroed once it was sent.
   * Rejects with the signal's reason, a TtlvError or {@link ConnectionLost}, and then the connection has ended: a reply
   * that comes too late would be taken for the next one's.
   */
  exchange(request: Uint8Array, signal: CallSignal): Promise<Uint8Array> {
    return new Promise<Uint8Array>((resolve, reject) => {
      const settle = (done: () => void) => {
        signal.removeEventListener('abort', onAbort)
        this.#waiting = undefined
        this.#lastUsed = performance.now()
        done()
      }
      const onAbort = () => this.#end(signal.reason)
      this.#waiting = {
        resolve: (frame) => settle(() => resolve(frame)),
        // What the transport throws and what a signal carries are both errors of whoever made them.
        reject: (error) => settle(() => reject(error)),
      }
      this.#replyStarted = false
      this.#sentAt = performance.now()
      if (!this.#open) {
        request.fill(0)
        this.#end(new ConnectionLost(false, this.#code))
        return
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#socket.write(request, () => request.fill(0))
    })
  }

  close(): void {
    this.#end(new ConnectionLost(this.#replyStarted, this.#code))
  }

  #take(chunk: Buffer): void {
    this.#replyStarted = true
    try {
      if (this.#waiting === undefined) throw new TtlvError('TRAILING', 0, 'a reply that nobody asked for')
      this.#reader.push(chunk)
      if (this.#waiting === undefined && this.#reader.pending > 0)
        throw new TtlvError('TRAILING', 0, 'more than a reply')
    } catch (error) {
      this.#end(error)
    } finally {
      chunk.fill(0)
    }
  }

  #deliver(frame: Uint8Array): void {
    const waiting = this.#waiting
    if (waiting === undefined) {
      frame.fill(0)
      this.#end(new ConnectionLost(true))
      return
    }
    this.#exchanges += 1
    waiting.resolve(frame)
  }

  #end(reason: unknown): void {
    this.#waiting?.reject(reason)
    if (!this.#open) return
    this.#open = false
    this.#reader.discard()
    this.#socket.destroy()
    this.onClose()
  }
}
