import { TtlvError } from './error.ts'
import { isTag, typeCode } from './item.ts'
import { completeLimits, defaultLimits } from './limits.ts'

const HEADER = 8
/**
 * Bytes reserved for a frame before they have come. A peer can claim any length, so memory grows only with what
 * arrives.
 */
const FIRST_ROOM = 4096

/**
 * Splits a stream of bytes into messages. KMIP has no framing of its own: a message is one Structure, and its 8-byte
 * header contains the length.
 *
 * The size limit is applied to that header before any further byte is kept. Memory is at most one frame, and time is
 * linear in what arrives, however it is split. The contents of a frame are not checked; {@link decode} does that.
 */
export class FrameReader {
  readonly #onFrame: (frame: Uint8Array) => void
  readonly #maxBytes: number
  /** The stream offset of the current frame. */
  #start = 0
  #frame = new Uint8Array(HEADER)
  #filled = 0
  /** The size of the current frame in bytes; 0 until its header is complete. */
  #size = 0
  #failure: TtlvError | undefined

  /**
   * @param onFrame gets each complete message, header included, in order: a buffer of its own, which the callee may keep
   * and zero. It must not throw, and must not push.
   * @param limits `maxBytes` bounds one message, header included
   */
  constructor(onFrame: (frame: Uint8Array) => void, limits: { readonly maxBytes?: number } = {}) {
    this.#onFrame = onFrame
    this.#maxBytes = completeLimits({ maxBytes: limits.maxBytes ?? defaultLimits.maxBytes }).maxBytes
  }

  /** Bytes held of a message that is not complete. */
  get pending(): number {
    return this.#filled
  }

  /**
   * Takes the next bytes of the stream, in any split, and keeps no reference to them.
   *
   * @throws TtlvError `TAG_INVALID`, `TYPE_INVALID`, `LENGTH_INVALID` or `TOO_LARGE` as soon as a header is wrong,
   *   after every message before it was handed over. The stream is then out of step, and every later call throws the
   *   same error.
   */
  push(chunk: Uint8Array): void {
    if (this.#failure) throw this.#failure
    let at = 0
    while (at < chunk.length) {
      const wanted = (this.#size === 0 ? HEADER : this.#size) - this.#filled
      const taken = Math.min(wanted, chunk.length - at)
      this.#reserve(this.#filled + taken)
      this.#frame.set(chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      at += taken
      if (this.#size === 0 && this.#filled === HEADER) this.#readHeader()
      if (this.#size !== 0 && this.#filled === this.#size) this.#handOver()
    }
  }

  /**
   * Tells the reader that the stream has ended.
   *
   * @throws TtlvError `TRUNCATED` if it ended inside a message
   */
  end(): void {
    if (this.#failure) throw this.#failure
    if (this.#filled === 0) return
    throw this.#fail(new TtlvError('TRUNCATED', this.#start + this.#filled, 'the stream ends inside a message'))
  }

  /** Zeroes and drops the current message, for when the stream is given up. Every later call throws. */
  discard(): void {
    this.#failure ??= new TtlvError('TRUNCATED', this.#start + this.#filled, 'the stream was given up')
    this.#frame.fill(0)
    this.#frame = new Uint8Array(0)
    this.#filled = 0
  }

  #readHeader(): void {
    const view = new DataView(this.#frame.buffer)
    const head = view.getUint32(0)
    const length = view.getUint32(4)
    const found = (code: 'TAG_INVALID' | 'TYPE_INVALID' | 'LENGTH_INVALID' | 'TOO_LARGE', at: number, what: string) =>
      this.#fail(new TtlvError(code, this.#start + at, what))
    if (!isTag(head >>> 8)) throw found('TAG_INVALID', 0, 'a tag that does not begin with 42 or 54')
    if ((head & 0xff) !== typeCode('Structure')) throw found('TYPE_INVALID', 3, 'a message that is not a Structure')
    if (HEADER + length > this.#maxBytes) throw found('TOO_LARGE', 4, `a message of ${HEADER + length} bytes`)
    if (length % 8 !== 0) throw found('LENGTH_INVALID', 4, 'a Structure has a multiple of 8 bytes')
    this.#size = HEADER + length
  }

  /** Grows by doubling, which is linear in total. The old buffer is zeroed. */
  #reserve(bytes: number): void {
    if (bytes <= this.#frame.length) return
    const room = Math.min(this.#size, Math.max(2 * this.#frame.length, FIRST_ROOM, bytes))
    const larger = new Uint8Array(room)
    larger.set(this.#frame.subarray(0, this.#filled))
    this.#frame.fill(0)
    this.#frame = larger
  }

  #handOver(): void {
    const frame = this.#frame
    this.#start += this.#size
    this.#frame = new Uint8Array(HEADER)
    this.#filled = 0
    this.#size = 0
    this.#onFrame(frame)
  }

  #fail(error: TtlvError): TtlvError {
    this.#failure = error
    this.discard()
    return error
  }
}
