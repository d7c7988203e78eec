import type { TLSSocket } from 'node:tls'

/** A fault in a reply. `operation` limits it to messages with that operation; absent, it applies to all messages. */
export interface Fault {
  readonly kind: FaultKind
  readonly operation?: number
}

export type FaultKind = (typeof faultKinds)[number]

export const faultKinds = [
  'slow',
  'hang',
  'close',
  'reset',
  'reset mid-reply',
  'half a frame',
  'garbage',
  'oversized length',
  'truncated inside',
  'padding not zero',
  'wrong batch id',
  'wrong operation',
  'wrong object',
  'wrong batch count',
  'replies reordered',
  'two replies',
  'pending',
  'failure without reason',
  'refused: general failure',
  'refused: limit exceeded',
] as const

export const SLOW_MS = 60

/** Sends `reply`, or the fault's version of it. Faults that change the reply's content were applied before. */
export function sendWith(kind: FaultKind | undefined, socket: TLSSocket, reply: Uint8Array): void {
  // eslint-disable-next-line @typescript-eslint/switch-exhaustiveness-check -- the others changed what the reply says
  switch (kind) {
    case 'slow':
      setTimeout(() => socket.write(reply), SLOW_MS)
      return
    case 'hang':
      return
    case 'close':
      socket.end()
      return
    case 'reset':
      socket.destroy()
      return
    case 'reset mid-reply':
      socket.write(reply.subarray(0, reply.length - 9), () => socket.destroy())
      return
    case 'half a frame':
      socket.end(reply.subarray(0, reply.length >> 1))
      return
    case 'garbage':
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')
      return
    case 'oversized length':
      socket.write(changed(reply, 4, 0x7f, 0xff, 0xff, 0xf8))
      return
    case 'truncated inside':
      // The first child claims the length of the whole message and more.
      socket.write(changed(reply, 12, 0, 0, 0xff, 0xf8))
      return
    case 'padding not zero':
      // This byte is inside the header: the padding of the major version.
      socket.write(changed(reply, 39, 1))
      return
    case 'two replies':
      socket.write(Buffer.concat([reply, reply]))
      return
    default:
      socket.write(reply)
  }
}

function changed(bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy.set(values, at)
  return copy
}
