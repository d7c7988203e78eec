import type { Socket } from 'node:net'

/** Bytes of a record's header: content type, version, length (RFC 8446 section 5.1). */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
/** Bytes. A longer record is invalid, and OpenSSL reports it. */
const MAX_RECORD_BYTES = 16_384

/** What the first bytes have shown. */
export interface Verdict {
  /** How many bytes are consumed. The others are left for the next reader. */
  readonly used: number
  readonly next: () => void
}

/** Reads the first bytes of a connection until `judge` has seen enough. `judge` returns undefined to ask for more. */
export function readFirstBytes(socket: Socket, judge: (bytes: Buffer) => Verdict | undefined): void {
  let head: Buffer | undefined
  const onData = (chunk: Buffer) => {
    head = head === undefined ? chunk : Buffer.concat([head, chunk])
    const verdict = judge(head)
    if (verdict === undefined) return
    socket.off('data', onData)
    socket.pause()
    if (verdict.used < head.length) socket.unshift(head.subarray(verdict.used))
    verdict.next()
  }
  socket.on('data', onData)
  socket.resume()
}

/** True if the bytes hold a whole handshake record, or something that can never become one. */
export function isWholeRecord(bytes: Buffer): boolean {
  if (bytes[0] !== HANDSHAKE_RECORD) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(RECORD_HEADER_BYTES - 2)
  return length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}
