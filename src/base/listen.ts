import type { Server } from 'node:net'
import { OperatorError, systemCode } from '../../adapters/contract/index.ts'

/**
 * Resolves with the port, which the system chooses for port 0. Rejects with an {@link OperatorError}.
 *
 * @param backlog connections that the kernel keeps until they are accepted; by default Node.js's 511
 */
export async function listen(server: Server, host: string, port: number, backlog?: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const problem = explanations[systemCode(error)] ?? systemCode(error)
      const message = `cannot listen on ${host} port ${port}: ${problem}`
      reject(new OperatorError('LISTEN_FAILED', message, { transient: true }))
    })
    server.listen({ port, host, backlog }, resolve)
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}

const explanations: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses that port',
  EACCES: 'this user may not use that port',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host',
}
