import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A path to a local server that takes as long as the path to a distant one. */
export interface Distance {
  readonly port: number
  /** Milliseconds of a round trip, without the server's own time. */
  roundTripMs: number
  close(): void
}

/** Listens on loopback and forwards bytes in both directions, half a round trip later. */
export async function farFrom(serverPort: number): Promise<Distance> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(serverPort, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true)
      sockets.add(from)
      from.on('data', (chunk) => setTimeout(() => to.write(chunk), distance.roundTripMs / 2))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  const distance = {
    port: 0,
    roundTripMs: 0,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  distance.port = (server.address() as AddressInfo).port
  return distance
}
