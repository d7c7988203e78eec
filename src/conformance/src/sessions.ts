import type { TLSSocket } from 'node:tls'
import { exchangeRaw } from './client.ts'
import { reasonOf, type Probe, type Reply } from './probe.ts'
import type { ClientIdentity } from './target.ts'

const TICKET_MS = 1000

/** Opens a connection, offers its session on a second one, and calls `info` there. */
export async function openSession(
  probe: Probe,
  identity?: ClientIdentity,
): Promise<{ resumed: boolean; reply: Reply | undefined }> {
  const session = await sessionOf(await probe.connect({}, identity), probe.infoRequest())
  if (session === undefined) return { resumed: false, reply: undefined }
  const socket = await connectAgain(probe, session, identity)
  const resumed = socket.isSessionReused()
  return { resumed, reply: await probe.rawOn(socket, probe.infoRequest(), 'info on a resumed session') }
}

/**
 * Opens a connection that offers a session. A server that cannot resume it must do a full handshake (RFC 8446 §2.2),
 * not end the connection.
 */
export function connectAgain(probe: Probe, session: Buffer, identity?: ClientIdentity): Promise<TLSSocket> {
  return probe.connect({ session }, identity).catch((error: unknown) => {
    const sent = 'a connection with the session of one before'
    probe.check({ sent, expected: 'a connection', came: `no connection (${reasonOf(error)})` }, false)
    throw error
  })
}

/** In TLS 1.3 the ticket comes after the handshake. Some servers send it only after the first application data. */
export async function sessionOf(socket: TLSSocket, request: string): Promise<Buffer | undefined> {
  let session: Buffer | undefined = socket.getProtocol() === 'TLSv1.3' ? undefined : socket.getSession()
  const ticket = new Promise<void>((resolve) => {
    socket.on('session', (bytes: Buffer) => {
      session = bytes
      resolve()
    })
    socket.once('close', () => resolve())
  })
  const timer = setTimeout(() => socket.destroy(), TICKET_MS)
  await exchangeRaw(socket, request)
  await ticket
  clearTimeout(timer)
  return session
}
