import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
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
  /** Of a verified client. */
  readonly chain?: Chain
  /** Whether its roots are each known, and not one of several. */
  readonly traced?: boolean
}

/** A certificate that OpenSSL has verified, and those that came with it. */
interface Chain {
  readonly leaf: X509Certificate
  readonly sent: readonly X509Certificate[]
}

/** Whom a certificate names. */
interface Named {
  readonly commonName: string | undefined
  /** SHA-256, lower-case hexadecimal. */
  readonly fingerprint: string
}

interface Seen extends Named {
  readonly chain: Chain
  readonly expires: number
}

/** To read what a certificate says takes a good part of what a handshake costs, and most connections are of a few clients. */
export class SeenChains {
  /** By the leaf's fingerprint; the oldest first. */
  readonly #chains = new Map<string, Seen>()

  find(leaf: X509Certificate): Seen | undefined {
    return this.#chains.get(leaf.fingerprint256)
  }

  /** @param keep whether the chain is whole, and not just the leaf that a resumed session is left with */
  read(leaf: X509Certificate, named: Named, keep: boolean): Seen {
    const read = { ...named, chain: { leaf, sent: issuersOf(leaf) }, expires: Date.parse(leaf.validTo) }
    if (!keep) return read
    const [oldest] = this.#chains.keys()
    if (this.#chains.size === MAX_SEEN && oldest !== undefined) this.#chains.delete(oldest)
    this.#chains.set(leaf.fingerprint256, read)
    return read
  }
}

const MAX_SEEN = 256

/**
 * Must be called before anything else asks the socket for its peer's certificate: Node.js shows what came with it once.
 *
 * @param address of the client
 */
export function identifyClient(
  socket: TLSSocket,
  address: string | undefined,
  trust: Trust,
  seen: SeenChains,
): Identified {
  const audit = auditOf(socket, address)
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return { client: { audit, refusal: 'NO_CERTIFICATE' } }

  const resumed = audit.tls_resumed
  const known = seen.find(leaf)
  const named = known ?? nameOf(leaf)
  if (named.commonName !== undefined) audit.client_cn = cut(named.commonName)
  audit.client_cert_sha256 = named.fingerprint
  if (!socket.authorized) return { client: { audit, refusal: String(socket.authorizationError) } }
  let found = known ?? seen.read(leaf, named, !resumed)
  let roots = trust.rootsOf(found.chain.leaf, found.chain.sent)
  if (roots.size === 0 && known !== undefined && !resumed) {
    // It may have come by another issuing CA this time.
    found = seen.read(leaf, named, true)
    roots = trust.rootsOf(found.chain.leaf, found.chain.sent)
  }
  if (roots.size === 0) return { client: { audit, refusal: resumed ? CHAIN_FORGOTTEN : CHAIN_HIDDEN } }
  return {
    client: { audit, verified: { commonName: named.commonName, roots }, expires: found.expires },
    chain: found.chain,
    traced: trust.traces,
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
  const { client, chain } = identified
  const { verified } = client
  if (verified === undefined || chain === undefined) return identified
  if (!identified.traced && trust.trustsEach(verified.roots)) return identified
  const name = [chain.leaf, ...chain.sent].map(({ fingerprint256 }) => fingerprint256).join()
  const roots = traced.get(name) ?? trust.trace(chain.leaf, chain.sent)
  traced.set(name, roots)
  if (roots.size === 0) return { client: { audit: client.audit, refusal: TRUST_CHANGED } }
  return { client: { ...client, verified: { ...verified, roots } }, chain, traced: true }
}

/** A client where none has to show a certificate: `clientAuth: disabled`. */
export const anonymousClient = (socket: TLSSocket, address: string | undefined): Client => ({
  audit: auditOf(socket, address),
})

const auditOf = (socket: TLSSocket, address = 'gone'): AuditedClient => ({
  remote_address: address,
  tls_resumed: socket.isSessionReused(),
})

/** A certificate with several common names has none. */
function nameOf(leaf: X509Certificate): Named {
  const name: unknown = leaf.toLegacyObject().subject?.CN
  return {
    commonName: typeof name === 'string' ? name : undefined,
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

/** The certificates above the leaf, as far as Node.js shows them. */
function issuersOf(leaf: X509Certificate): X509Certificate[] {
  const issuers: X509Certificate[] = []
  for (let issuer = leaf.issuerCertificate; issuer !== undefined; issuer = issuer.issuerCertificate)
    issuers.push(issuer)
  return issuers
}
