import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A way to a server on this machine that takes as long as the way to one that is far away. */
export interface Distance {
  readonly port: number
  /** Milliseconds from a request to its answer, beside the time that the server takes. */
  roundTripMs: number
  close(): void
}

/** Listens on loopback and passes bytes on, both ways, each half a round trip later. */
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
