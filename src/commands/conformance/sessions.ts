import type { TLSSocket } from 'node:tls'
import { exchangeRaw } from './client.ts'
import type { Probe, Reply } from './probe.ts'
import type { ClientIdentity } from './target.ts'

const TICKET_MS = 1000

/** Opens a connection, takes its session to a second one, and calls `info` there. */
export async function openSession(
  probe: Probe,
  identity?: ClientIdentity,
): Promise<{ resumed: boolean; reply: Reply | undefined }> {
  const session = await sessionOf(await probe.connect({}, identity), probe.infoRequest())
  if (session === undefined) return { resumed: false, reply: undefined }
  const socket = await probe.connect({ session }, identity)
  const resumed = socket.isSessionReused()
  return { resumed, reply: await probe.rawOn(socket, probe.infoRequest(), 'info on a resumed session') }
}

/** In TLS 1.3 the ticket comes after the handshake, and with some servers after the first bytes of data only. */
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
