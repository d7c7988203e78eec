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

/** A client whose certificate lead to a root that is trusted no longer, or not as far as can be seen without a new handshake. */
export const TRUST_CHANGED = 'TRUST_CHANGED'

/** A client, with what it was known by: the listener's trust can change while its connection lives. */
export interface Identified {
  readonly client: Client
  readonly proof?: {
    readonly leaf: X509Certificate
    /** What came with it; empty on a resumed session. */
    readonly sent: readonly X509Certificate[]
    /** Whether its roots are each known, and not one of several. */
    readonly traced: boolean
  }
}

/** Must be called before anything else asks the socket for its peer's certificate. */
export function identifyClient(socket: TLSSocket, trust: Trust): Identified {
  const resumed = socket.isSessionReused()
  const connection = { remote_address: socket.remoteAddress ?? 'gone', tls_resumed: resumed }
  // getPeerX509Certificate() would empty the chain that this one walks.
  const peer = socket.getPeerCertificate(true)
  if (!('raw' in peer)) return { client: { audit: connection, refusal: 'NO_CERTIFICATE' } }

  const leaf = new X509Certificate(peer.raw)
  const commonName = oneCommonName(peer)
  const audit = {
    ...connection,
    ...(commonName !== undefined && { client_cn: cut(commonName) }),
    client_cert_sha256: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
  if (!socket.authorized) return { client: { audit, refusal: String(socket.authorizationError) } }
  const sent = resumed ? [] : chainOf(peer)
  const roots = trust.rootsOf(leaf, sent)
  if (roots.size === 0) return { client: { audit, refusal: resumed ? CHAIN_FORGOTTEN : CHAIN_HIDDEN } }
  return {
    client: { audit, verified: { commonName, roots }, expires: Date.parse(leaf.validTo) },
    proof: { leaf, sent, traced: trust.traces },
  }
}

/**
 * The same client under another trust; OpenSSL looks at a connection's certificates only once.
 *
 * @param traced what was found for certificates that came with other connections; it is added to
 */
export function identifyAgain(
  identified: Identified,
  trust: Trust,
  traced = new Map<string, ReadonlySet<string>>(),
): Identified {
  const { client, proof } = identified
  const { verified } = client
  if (verified === undefined || proof === undefined) return identified
  if (!proof.traced && trust.trustsEach(verified.roots)) return identified
  const name = [proof.leaf, ...proof.sent].map(({ fingerprint256 }) => fingerprint256).join()
  const roots = traced.get(name) ?? trust.trace(proof.leaf, proof.sent)
  traced.set(name, roots)
  if (roots.size === 0) return { client: { audit: client.audit, refusal: TRUST_CHANGED } }
  return { client: { ...client, verified: { ...verified, roots } }, proof: { ...proof, traced: true } }
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
