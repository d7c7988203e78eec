import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Place } from '../base/queue.ts'
import type { Identity } from './client.ts'
import { connectionBelow } from './endpoint.ts'
import type { Arrival } from './stranger.ts'

// Data about a socket is kept on the socket. In a WeakMap, V8's collection of the young generation would keep the
// values alive even if their keys are not.
const CONNECTION = Symbol('connection')

/** A connection that the gate has let begin. */
export interface Connection {
  readonly arrival: Arrival
  /** Whether it may resume any session, not only one that is newer than the demand for full handshakes. */
  readonly mayResume: boolean
  /** True when its handshake has succeeded or failed. */
  isHandshakeOver: boolean
  welcome: Welcome | undefined
  /** Its place among the connections whose client is known. */
  place: Place<Welcome> | undefined
}

/** A connection whose client is known. */
export interface Welcome {
  readonly arrival: Arrival
  readonly socket: TLSSocket
  readonly identity: Identity
}

/** The TLS socket or the TCP socket below it. */
interface Connected extends Socket {
  [CONNECTION]?: Connection
}

/** What is known of a socket's connection. Undefined if the gate has not let it begin. */
export const connectionOf = (socket: object): Connection | undefined => (socket as Connected)[CONNECTION]

/** Keeps what is known of a connection on its TCP socket, or on the TLS socket above. */
export function keepOn(socket: Socket, connection: Connection): void {
  const connected: Connected = socket
  connected[CONNECTION] = connection
}

/**
 * Returns the connection only once for each handshake: Node.js can report the handshake's end and later the socket's
 * end.
 */
export function endHandshake(socket: TLSSocket): Connection | undefined {
  const connection = connectionOf(connectionBelow(socket))
  if (connection === undefined || connection.isHandshakeOver) return undefined
  connection.isHandshakeOver = true
  return connection
}
