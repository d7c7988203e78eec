import { asBuffer, wipeable, wipeableCopy } from '../../contract/index.ts'

/**
 * The wire between the gateway and an HSM host: a socket pair that carries frames of `length (u32) | id (u32) | kind
 * (u8) | payload`, little-endian. `length` counts the bytes after it. docs/adr/0002 says why it is not Node.js's own
 * channel.
 */
export interface Frame {
  readonly id: number
  readonly kind: number
  readonly payload: Uint8Array
}

const LENGTH_BYTES = 4
const HEADER_BYTES = 9

/** Bytes. A longer frame is a bug or a corrupted stream, and ends the host. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024

/** The requests to a host. */
export const Ask = {
  open: 1,
  crypt: 2,
  find: 3,
  probe: 4,
  reopen: 5,
  create: 6,
  list: 7,
  memory: 8,
  survey: 9,
} as const

/**
 * The answers of a host: a result; a CK_RV; its own refusal; a ciphertext that does not unwrap; a request for the rest
 * of unfinished work; the token shows none of its former keys. `alive` answers no request: one of several calls of the
 * module has returned.
 */
export const Answer = {
  result: 0,
  ckr: 1,
  refused: 2,
  invalidCiphertext: 3,
  unfinished: 4,
  alive: 5,
  vanished: 6,
} as const

/** Outgoing frames, one after another in memory that is reused. */
export class FrameWriter {
  #buffer = asBuffer(wipeable(16 * 1024))
  #filled = 0

  get isEmpty(): boolean {
    return this.#filled === 0
  }

  /** Copies `payload`. */
  add({ id, kind, payload }: Frame): void {
    const end = this.#filled + HEADER_BYTES + payload.length
    if (end > this.#buffer.length) this.#buffer = grown(this.#buffer, this.#filled, end)
    this.#buffer.writeUInt32LE(HEADER_BYTES - LENGTH_BYTES + payload.length, this.#filled)
    this.#buffer.writeUInt32LE(id, this.#filled + 4)
    this.#buffer.writeUInt8(kind, this.#filled + 8)
    this.#buffer.set(payload, this.#filled + HEADER_BYTES)
    this.#filled = end
  }

  /** All frames. The caller zeroes them. */
  take(): Uint8Array {
    const filled = this.#buffer.subarray(0, this.#filled)
    const bytes = wipeableCopy(filled)
    filled.fill(0)
    this.#filled = 0
    return bytes
  }
}

/**
 * Splits a byte stream into frames. It zeroes the frames that it has handed over, and keeps at most one partial frame.
 */
export class FrameReader {
  #buffer = asBuffer(wipeable(16 * 1024))
  #filled = 0

  /** Takes bytes, and calls `receive` for every complete frame. The frame's payload is valid only during that call. */
  push(chunk: Uint8Array, receive: (frame: Frame) => void): void {
    if (this.#filled + chunk.length > this.#buffer.length) {
      this.#buffer = grown(this.#buffer, this.#filled, this.#filled + chunk.length)
    }
    this.#buffer.set(chunk, this.#filled)
    this.#filled += chunk.length
    let at = 0
    while (this.#filled - at >= HEADER_BYTES) {
      const end = at + LENGTH_BYTES + this.#buffer.readUInt32LE(at)
      if (end - at > MAX_FRAME_BYTES) throw new RangeError('frame too long')
      if (end > this.#filled) break
      receive({
        id: this.#buffer.readUInt32LE(at + 4),
        kind: this.#buffer.readUInt8(at + 8),
        payload: this.#buffer.subarray(at + HEADER_BYTES, end),
      })
      at = end
    }
    this.#buffer.copyWithin(0, at, this.#filled)
    this.#buffer.fill(0, this.#filled - at, this.#filled)
    this.#filled -= at
  }
}

/** A buffer of `length` bytes and as many more as before. `buffer`, whose first `used` bytes are copied, is zeroed. */
function grown(buffer: Buffer, used: number, length: number): Buffer {
  const larger = asBuffer(wipeable(Math.max(2 * buffer.length, length)))
  larger.set(buffer.subarray(0, used))
  buffer.fill(0)
  return larger
}
