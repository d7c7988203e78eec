import type { Socket } from 'node:net'

/** A record's header: content type, version, length (RFC 8446 section 5.1). */
const RECORD_HEADER_BYTES = 5
const HANDSHAKE_RECORD = 22
/** A longer record is none; OpenSSL says so. */
const MAX_RECORD_BYTES = 16_384

/** What follows from the first bytes. */
export interface Verdict {
  /** How many of them are used up; the others are left to whoever reads next. */
  readonly used: number
  readonly next: () => void
}

/** Reads what a connection begins with until `judge` has seen enough; undefined asks for more. */
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

/** Whether the bytes hold a whole handshake record, or something that will never be one. */
export function isWholeRecord(bytes: Buffer): boolean {
  if (bytes[0] !== HANDSHAKE_RECORD) return true
  if (bytes.length < RECORD_HEADER_BYTES) return false
  const length = bytes.readUInt16BE(RECORD_HEADER_BYTES - 2)
  return length > MAX_RECORD_BYTES || bytes.length >= RECORD_HEADER_BYTES + length
}
