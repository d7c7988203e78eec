import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { systemCode, type CallSignal } from '../../contract/index.ts'
import { FrameReader, TtlvError } from '../../ttlv-codec/src/index.ts'

/** The connection could not be made, and nothing was sent. `code` is that of Node.js or OpenSSL. */
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
  /** Whether part of the reply had been received. */
  readonly replyStarted: boolean
  /** The code of Node.js or OpenSSL, if the connection ended with an error. */
  readonly code: string | undefined

  constructor(replyStarted: boolean, code?: string) {
    super('the connection was lost')
    this.replyStarted = replyStarted
    this.code = code
  }
}

/** How long a connection waits for the reply to a cancelled request, in milliseconds. */
const LATE_MS = 2000

/** Milliseconds. A server that does not accept the client has closed a new connection by then. */
const SETTLED_MS = 500

/** Larger than any expected reply: `keys list` asks for one page at a time. */
const MAX_REPLY_BYTES = 1_048_576

interface Waiting {
  readonly resolve: (frame: Uint8Array) => void
  readonly reject: (error: unknown) => void
  /** Set when the caller has given up and the reply is still expected. */
  readonly isLate?: true
}

/**
 * One TLS connection with one request at a time. This is the only way to match a reply to its request on every server,
 * and to keep a cancelled request's late reply from another caller.
 */
export class Connection {
  /** Called once when the connection has ended, for whatever reason. */
  onClose: () => void = () => undefined
  /** Called when a late reply was read, or will not come. Then {@link isFree} is true, or the connection has ended. */
  onFree: () => void = () => undefined
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
    // In TLS 1.3 a refused client certificate shows only here: for the client the handshake is complete before the
    // server has verified the certificate.
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

  /**
   * True if the server has accepted this client: an exchange succeeded, or the connection has stayed open for a while.
   * Its end may then be just the server's idle timeout.
   */
  get isSettled(): boolean {
    return this.#exchanges > 0 || performance.now() - this.#lastUsed > SETTLED_MS
  }

  /** When the last exchange ended, on `performance.now()`'s clock. */
  get lastUsed(): number {
    return this.#lastUsed
  }

  /** True if no reply is outstanding, so that the next request can be sent. */
  get isFree(): boolean {
    return this.#waiting === undefined
  }

  /** True if the outstanding reply has no caller any more. */
  get isLate(): boolean {
    return this.#waiting?.isLate === true
  }

  /** When the outstanding request was sent, on `performance.now()`'s clock. Undefined if there is none. */
  get waitingSince(): number | undefined {
    return this.#waiting && this.#sentAt
  }

  /** Whether the connection keeps the process alive. An idle connection should not. */
  set keepsAlive(busy: boolean) {
    if (busy) this.#socket.ref()
    else this.#socket.unref()
  }

  /**
   * Sends a request and returns the reply, which the caller zeroes. `request` is zeroed after it was sent.
   *
   * After a rejection the connection has either ended, because a late reply would be taken for the next request's; or
   * it waits for that reply and is not free until then.
   *
   * @param mayBeLate is asked when the signal fires: whether the reply can still be expected
   * @throws the signal's reason, a TtlvError or {@link ConnectionLost}
   */
  exchange(request: Uint8Array, signal: CallSignal, mayBeLate = () => false): Promise<Uint8Array> {
    return new Promise<Uint8Array>((resolve, reject) => {
      const settle = (done: () => void) => {
        signal.removeEventListener('abort', onAbort)
        this.#waiting = undefined
        this.#lastUsed = performance.now()
        done()
      }
      const onAbort = () => {
        if (!mayBeLate()) return this.#end(signal.reason)
        settle(() => reject(signal.reason))
        this.#awaitLateReply()
      }
      this.#waiting = {
        resolve: (frame) => settle(() => resolve(frame)),
        // The transport's errors and the signal's reason are passed on as they are.
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

  #awaitLateReply(): void {
    const timer = setTimeout(() => this.close(), LATE_MS)
    this.keepsAlive = false
    const settle = () => {
      clearTimeout(timer)
      this.#waiting = undefined
      this.onFree()
    }
    this.#waiting = {
      resolve: (frame) => {
        frame.fill(0)
        settle()
      },
      reject: settle,
      isLate: true,
    }
  }

  #take(chunk: Buffer): void {
    this.#replyStarted = true
    try {
      if (this.#waiting === undefined) throw new TtlvError('TRAILING', 0, 'a reply without a request')
      this.#reader.push(chunk)
      if (this.#waiting === undefined && this.#reader.pending > 0)
        throw new TtlvError('TRAILING', 0, 'more bytes than one reply')
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
    const isFirst = this.#open
    this.#open = false
    this.#waiting?.reject(reason)
    if (!isFirst) return
    this.#reader.discard()
    this.#socket.destroy()
    this.onClose()
  }
}
