import type { Server } from 'node:net'
import { OperatorError, systemCode } from '../../adapters/contract/index.ts'

/**
 * Listens on `host` and `port`.
 *
 * @param backlog how many connections the kernel queues until they are accepted; by default Node.js's 511
 * @returns the port; for port 0 the system chooses it
 * @throws OperatorError `LISTEN_FAILED`
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
  EADDRINUSE: 'another program uses this port',
  EACCES: 'this user may not use this port',
  EADDRNOTAVAIL: 'this machine does not have this address',
  ENOTFOUND: 'the host name does not resolve',
}
