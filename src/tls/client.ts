import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { VerifiedClient } from '../ekm/allow-list.ts'
import { cut, type AuditedClient } from '../telemetry/audit.ts'
import type { Trust } from './trust.ts'

/** Who is at the other end of a connection. It is found out once, when the handshake is done. */
export interface Client {
  readonly audit: AuditedClient
  /** Absent if the certificate is missing or did not verify. */
  readonly verified?: VerifiedClient
  /** Why there is no verified client: OpenSSL's word for it, or `NO_CERTIFICATE`. */
  readonly refusal?: string
  /** Milliseconds since the epoch: a certificate can expire while its connection lives. */
  readonly expires?: number
}

/** A resumed session whose chain nobody remembers; a full handshake puts it right. */
export const CHAIN_FORGOTTEN = 'CHAIN_FORGOTTEN'

/** A certificate that OpenSSL verified, but by an issuing CA that Node.js does not show (nodejs/node#65579). */
export const CHAIN_HIDDEN = 'CHAIN_HIDDEN'

/** Must be called before anything else asks the socket for its peer's certificate. */
export function identifyClient(socket: TLSSocket, trust: Trust): Client {
  const resumed = socket.isSessionReused()
  const connection = { remote_address: socket.remoteAddress ?? 'gone', tls_resumed: resumed }
  // getPeerX509Certificate() would empty the chain that this one walks.
  const peer = socket.getPeerCertificate(true)
  if (!('raw' in peer)) return { audit: connection, refusal: 'NO_CERTIFICATE' }

  const leaf = new X509Certificate(peer.raw)
  const commonName = oneCommonName(peer)
  const audit = {
    ...connection,
    ...(commonName !== undefined && { client_cn: cut(commonName) }),
    client_cert_sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
  if (!socket.authorized) return { audit, refusal: String(socket.authorizationError) }
  const roots = trust.rootsOf(leaf, resumed ? [] : chainOf(peer))
  if (roots.size === 0) return { audit, refusal: resumed ? CHAIN_FORGOTTEN : CHAIN_HIDDEN }
  return { audit, verified: { commonName, roots }, expires: Date.parse(leaf.validTo) }
}

/** A client where none has to show a certificate: `clientAuth: disabled`. */
export const anonymousClient = (socket: TLSSocket): Client => ({
  audit: { remote_address: socket.remoteAddress ?? 'gone', tls_resumed: socket.isSessionReused() },
})

function oneCommonName(peer: DetailedPeerCertificate): string | undefined {
  const name: unknown = peer.subject?.CN
  return typeof name === 'string' ? name : undefined
}

/** The certificates above the leaf; the root, which names itself as its issuer, comes last. */
function chainOf(peer: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = []
  let below = peer
  for (let above = peer.issuerCertificate; above && above !== below; above = above.issuerCertificate) {
    chain.push(new X509Certificate(above.raw))
    below = above
  }
  return chain
}
