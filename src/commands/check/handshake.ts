import { X509Certificate } from 'node:crypto'
import { connect, createServer, type ConnectionOptions, type DetailedPeerCertificate } from 'node:tls'
import { systemCode } from '../../../adapters/contract/index.ts'
import { listen } from '../../base/listen.ts'
import type { Credentials } from '../../settings/credentials.ts'
import type { Chain } from './server-chain.ts'

const HANDSHAKE_MS = 3000
const GOODBYE_MS = 500

export interface Address {
  readonly host: string
  readonly port: number
}

/** What a handshake negotiated. */
export interface Agreed {
  readonly protocol: string
  readonly cipher: string
  /** The certificates that the server sent, its own first. */
  readonly chain: Chain
}

/** Makes one handshake without a client certificate. A failure is returned as the code of Node.js or OpenSSL. */
export function handshake({ host, port }: Address, options: ConnectionOptions): Promise<Agreed | { refused: string }> {
  return new Promise((resolve) => {
    // No CA: other checks judge the trust in the server, and none of Node.js's roots shall complete the chain.
    const socket = connect({ host, port, ca: [], rejectUnauthorized: false, ...options })
    const settle = (result: Agreed | { refused: string }) => {
      clearTimeout(timer)
      // Ends in good order, so that the server does not count a failed handshake.
      if ('refused' in result) socket.destroy()
      else socket.end()
      setTimeout(() => socket.destroy(), GOODBYE_MS).unref()
      resolve(result)
    }
    const timer = setTimeout(() => settle({ refused: 'ETIMEDOUT' }), HANDSHAKE_MS)
    socket.on('error', (error) => settle({ refused: systemCode(error) }))
    socket.once('close', () => settle({ refused: 'ECONNRESET' }))
    socket.once('secureConnect', () => {
      const peer = socket.getPeerCertificate(true)
      if (!('raw' in peer)) settle({ refused: 'NO_CERTIFICATE' })
      else settle({ protocol: socket.getProtocol() ?? '', cipher: socket.getCipher().name, chain: chainOf(peer) })
    })
  })
}

/** What a server with these credentials sends, shown on loopback for a moment. */
export async function chainSent(credentials: Credentials): Promise<Agreed | { refused: string }> {
  const server = createServer({ ...credentials.secureContextOptions(), minVersion: 'TLSv1.3' })
  server.on('tlsClientError', () => undefined)
  const host = '127.0.0.1'
  const port = await listen(server, host, 0)
  try {
    return await handshake({ host, port }, { minVersion: 'TLSv1.3' })
  } finally {
    server.close()
  }
}

function chainOf(peer: DetailedPeerCertificate): Chain {
  const others: X509Certificate[] = []
  for (let below = peer, above = peer.issuerCertificate; above && above !== below; above = above.issuerCertificate) {
    others.push(new X509Certificate(above.raw))
    below = above
  }
  return [new X509Certificate(peer.raw), ...others]
}
