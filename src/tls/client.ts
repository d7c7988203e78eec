import { X509Certificate } from 'node:crypto'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { AllowedClients, VerifiedClient } from '../ekm/allow-list.ts'
import { cut, type AuditedClient } from '../telemetry/audit.ts'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import type { PathRefusal } from '../x509/path.ts'
import type { Arrival } from './stranger.ts'
import { holds, type Judged, type Trust, type TrustedCas, type Verdict } from './trust.ts'

/** Certificates above the client's own that are looked at, in the order in which they were sent. */
const MAX_SENT = 8
/**
 * Beyond so many bytes below TLS at the end of a handshake nobody looks at what came with the certificate: Node.js makes an
 * object of each certificate that came, wanted or not, at 20 µs each (130 µs on Node.js 20). Eight certificates of 2 KiB and a
 * hello are less, also if Node.js has read some of the first request with them.
 */
const MAX_HANDSHAKE_BYTES = 24 * 1024

/** An entry of an allow-list, with what it trusts. */
export interface ClientEntry extends AllowedClients, TrustedCas {}

export type ClientTrust = Trust<ClientEntry>

/** Why a client is not known by its certificate. */
export type ClientRefusal =
  | PathRefusal
  | 'NO_CERTIFICATE'
  | 'CERTIFICATE_MALFORMED'
  /** No issuer is known, and more bytes came than a handshake needs: nobody looked at them. */
  | 'CHAIN_TOO_LONG'
  /** After a reload the client cannot be traced to a trusted root without a new handshake. */
  | 'TRUST_CHANGED'
  /** It has no connection, or one that is not done with its handshake. */
  | 'NO_HANDSHAKE'

/** Who is at the other end of a connection, by what holds now. */
export interface Client {
  readonly audit: AuditedClient
  /** Absent if the certificate is missing, or no entry of any allow-list trusts it. */
  readonly verified?: VerifiedClient
  /** Why there is no verified client. */
  readonly refusal?: ClientRefusal
}

/** A client with the evidence for what it is: paths end, and the trust can change while its connection lives. */
export class Identity {
  readonly leaf: Certificate | undefined
  /** What it took to judge it, in milliseconds of a core; 0 for who was known. */
  readonly costMs: number
  readonly #audit: AuditedClient
  #verdict: Verdict<ClientEntry> | undefined
  #refusal: ClientRefusal
  #client: Client
  /** When {@link Identity.at} has to look anew; milliseconds since the epoch. */
  #from = -Infinity
  #until = Infinity

  constructor(audit: AuditedClient, evidence: Judged<ClientEntry> | ClientRefusal, costMs = 0) {
    this.#audit = audit
    this.costMs = costMs
    const isRefused = typeof evidence === 'string'
    this.leaf = isRefused ? undefined : evidence.leaf
    this.#verdict = isRefused ? undefined : evidence.verdict
    this.#refusal = isRefused ? evidence : evidence.verdict.refusal
    this.#client = this.#look(Date.now())
  }

  /** @param now milliseconds since the epoch */
  at(now: number): Client {
    if (now < this.#from || now > this.#until) this.#client = this.#look(now)
    return this.#client
  }

  /** The same client under another trust, by what that found for its certificate. */
  restate(verdict: Verdict<ClientEntry> | undefined): void {
    if (this.leaf === undefined) return
    this.#verdict = verdict
    this.#refusal = verdict?.refusal ?? 'TRUST_CHANGED'
    this.#client = this.#look(Date.now())
  }

  #look(now: number): Client {
    const { leaf } = this
    const paths = [...(this.#verdict?.paths ?? [])]
    const held = paths.filter(([, path]) => holds(path, now))
    // It looks anew when the first path begins or ends, of those that hold and of those that do not.
    const turns = paths.flatMap(([, { from, until }]) => [from - 1, until])
    this.#from = Math.max(-Infinity, ...turns.filter((turn) => turn < now).map((turn) => turn + 1))
    this.#until = Math.min(Infinity, ...turns.filter((turn) => turn >= now))
    if (leaf === undefined || held.length === 0) return { audit: this.#audit, refusal: this.#refusalAt(now) }
    const entries = new Set(held.map(([entry]) => entry))
    return { audit: this.#audit, verified: { commonName: commonNameOf(leaf), entries } }
  }

  #refusalAt(now: number): ClientRefusal {
    if (this.#verdict === undefined || this.#verdict.paths.size === 0 || this.leaf === undefined) return this.#refusal
    const paths = [...this.#verdict.paths.values()]
    if (paths.every(({ from }) => now < from)) return 'CERT_NOT_YET_VALID'
    // A path ends with one of its certificates, or with a revocation list.
    const isDated = paths.some(({ certificates }) => certificates.some(({ notAfter }) => notAfter < now))
    return isDated ? 'CERT_HAS_EXPIRED' : 'REVOCATION_UNKNOWN'
  }
}

/** A certificate with several common names has none. */
function commonNameOf({ subject: { commonNames } }: Certificate): string | undefined {
  return commonNames.length === 1 ? commonNames[0] : undefined
}

/**
 * Finds out who has done a handshake. Only a certificate that was not judged lately takes more than this call.
 *
 * It must be called before anything else asks the socket for its peer's certificate: Node.js shows what came with it once.
 */
export function identify(
  socket: TLSSocket,
  arrived: Pick<Arrival, 'address' | 'bytesRead'>,
  trust: ClientTrust,
): Identity | Promise<Identity> {
  const audit = auditOf(socket, arrived.address)
  const isResumed = socket.isSessionReused()
  const isLong = !isResumed && arrived.bytesRead > MAX_HANDSHAKE_BYTES
  // Without its chain, if that may be long; its first request may have come with it.
  const shown = isLong ? leafOf(socket) : socket.getPeerX509Certificate()
  if (shown === undefined) return new Identity(audit, 'NO_CERTIFICATE')
  const sent = isResumed || isLong ? undefined : sentWith(shown)
  const fingerprint = fingerprintOf(shown)
  audit.client_cert_sha256 = fingerprint
  const now = Date.now()
  const known = trust.recall(fingerprint, sent && [...sent.keys()].join(), now)
  const leaf = known?.leaf ?? parsed(shown)
  if (leaf === undefined) return new Identity(audit, 'CERTIFICATE_MALFORMED')
  const commonName = commonNameOf(leaf)
  if (commonName !== undefined) audit.client_cn = cut(commonName)
  if (known !== undefined) return new Identity(audit, known)
  const issuers = [...(sent?.values() ?? [])].map(parsed).filter((issuer) => issuer !== undefined)
  return trust.judge(leaf, issuers, now).then((verdict) => {
    const isIncomplete = isLong && verdict.paths.size === 0 && verdict.refusal === 'ISSUER_UNKNOWN'
    return new Identity(audit, isIncomplete ? 'CHAIN_TOO_LONG' : { leaf, verdict }, verdict.costMs)
  })
}

function leafOf(socket: TLSSocket): X509Certificate | undefined {
  const { raw } = socket.getPeerCertificate() as Partial<PeerCertificate>
  return raw && new X509Certificate(raw)
}

/** A client where none has to show a certificate: `clientAuth: disabled`. */
export const anonymous = (socket: TLSSocket, { address }: Pick<Arrival, 'address'>): Identity =>
  new Identity(auditOf(socket, address), 'NO_CERTIFICATE')

const auditOf = (socket: TLSSocket, address = 'gone'): AuditedClient => ({
  remote_address: address,
  tls_resumed: socket.isSessionReused(),
})

/** What came with a certificate, each once, by fingerprint. */
function sentWith(leaf: X509Certificate): ReadonlyMap<string, X509Certificate> {
  const sent = new Map<string, X509Certificate>()
  let looked = 0
  for (let next = leaf.issuerCertificate; next !== undefined && looked < MAX_SENT; next = next.issuerCertificate) {
    looked += 1
    sent.set(fingerprintOf(next), next)
  }
  return sent
}

const fingerprintOf = ({ fingerprint256 }: X509Certificate): string => fingerprint256.replaceAll(':', '').toLowerCase()

/** `undefined` for one that is not in the form of RFC 5280. */
function parsed({ raw }: X509Certificate): Certificate | undefined {
  try {
    return parseCertificate(raw)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
