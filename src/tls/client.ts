import { X509Certificate } from 'node:crypto'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import { inTurns } from '../base/turns.ts'
import type { AllowedClients, VerifiedClient } from '../ekm/allow-list.ts'
import type { AuditedClient } from '../telemetry/audit-record.ts'
import { cut } from '../telemetry/audit.ts'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import { DerError } from '../x509/der.ts'
import { pathRefusals } from '../x509/path.ts'
import type { Arrival } from './stranger.ts'
import type { TrustedCas } from './authority.ts'
import { TURN_MS, type Trust } from './trust.ts'
import type { Opinion, Verdict } from './verdict.ts'

/** The most certificates above the client's own that are read, in the order in which they were sent. */
const MAX_SENT = 8
/**
 * Bytes below TLS at the end of a handshake. If there are more, the certificates that came with the client's own are
 * not read: Node.js creates an object of each of them, wanted or not, at 20 µs each (130 µs on Node.js 20). Eight
 * certificates of 2 KiB and a hello are less, even if Node.js has already read part of the first request.
 */
const MAX_HANDSHAKE_BYTES = 24 * 1024

/** An entry of an allow-list, with what it trusts. */
export interface ClientEntry extends AllowedClients, TrustedCas {}

export type ClientTrust = Trust<ClientEntry>

/** Why a client is not identified by its certificate. */
export const clientRefusals = [
  ...pathRefusals,
  'NO_CERTIFICATE',
  'CERTIFICATE_MALFORMED',
  /** No issuer is known, and the handshake had more bytes than it needs, so the sent certificates were not read. */
  'CHAIN_TOO_LONG',
  /** After a reload the client cannot be traced to a trusted root without a new handshake. */
  'TRUST_CHANGED',
  /** The client has no connection, or its handshake is not finished. */
  'NO_HANDSHAKE',
] as const
export type ClientRefusal = (typeof clientRefusals)[number]

/** The client of a connection, as of now. */
export interface Client {
  readonly audit: AuditedClient
  /** Undefined if the certificate is missing, or no entry of any allow-list trusts it. */
  readonly verified?: VerifiedClient
  /** Why there is no verified client. */
  readonly refusal?: ClientRefusal
}

/** A client and the evidence for its identity: paths expire, and the trust can change during its connection. */
export class Identity {
  readonly #audit: AuditedClient
  readonly #isUnread: boolean
  #evidence: Verdict<ClientEntry> | ClientRefusal
  #opinion: Opinion<ClientEntry> | undefined
  #client: Client

  /** @param isUnread true if the certificates that came with the client's own were not read */
  constructor(audit: AuditedClient, evidence: Verdict<ClientEntry> | ClientRefusal, isUnread = false) {
    this.#audit = audit
    this.#isUnread = isUnread
    this.#evidence = evidence
    this.#client = { audit, refusal: typeof evidence === 'string' ? evidence : 'NO_HANDSHAKE' }
  }

  /** The verdict on the client's certificate. Undefined if none was judged. */
  get verdict(): Verdict<ClientEntry> | undefined {
    return typeof this.#evidence === 'string' ? undefined : this.#evidence
  }

  /** @param now milliseconds since the epoch */
  at(now: number): Client {
    if (typeof this.#evidence === 'string') return this.#client
    const opinion = this.#evidence.at(now)
    if (opinion !== this.#opinion) {
      this.#opinion = opinion
      this.#client = this.#describe(this.#evidence.leaf, opinion)
    }
    return this.#client
  }

  /** The same client with a later verdict on its certificate, or with one under another trust. */
  restate(verdict: Verdict<ClientEntry> | undefined): void {
    if (typeof this.#evidence === 'string') return
    this.#evidence = verdict ?? 'TRUST_CHANGED'
    this.#client = { audit: this.#audit, refusal: 'TRUST_CHANGED' }
    this.#opinion = undefined
  }

  #describe(leaf: Certificate, { entries, refusal, refusals }: Opinion<ClientEntry>): Client {
    const audit = this.#audit
    if (entries.size > 0) return { audit, verified: { commonName: commonNameOf(leaf), entries, refusals } }
    return { audit, refusal: this.#isUnread && refusal === 'ISSUER_UNKNOWN' ? 'CHAIN_TOO_LONG' : refusal }
  }
}

/** Undefined if the certificate has several common names, or none. */
function commonNameOf({ subject: { commonNames } }: Certificate): string | undefined {
  return commonNames.length === 1 ? commonNames[0] : undefined
}

/**
 * Identifies the client of a finished handshake. It returns at once, except for a certificate without a recent verdict.
 *
 * Nothing else may ask the socket for its peer's certificate before: Node.js shows the certificates that came with it
 * only once.
 *
 * @param onCost called with the time of other threads, in milliseconds of a core
 */
export function identify(
  socket: TLSSocket,
  arrived: Pick<Arrival, 'address' | 'bytesRead'>,
  trust: ClientTrust,
  onCost: (ms: number) => void,
): Identity | Promise<Identity> {
  const audit = auditOf(socket, arrived.address)
  const isResumed = audit.tls_resumed
  const isLong = !isResumed && arrived.bytesRead > MAX_HANDSHAKE_BYTES
  // Without its chain, if that may be long. The first request may have come with it.
  const shown = isLong ? leafOf(socket) : socket.getPeerX509Certificate()
  if (shown === undefined) return new Identity(audit, 'NO_CERTIFICATE')
  const sent = isResumed || isLong ? undefined : sentWith(shown)
  const now = Date.now()
  const known = trust.recall(shown.fingerprint256, sent && [...sent.keys()].join(), now)
  const leaf = known?.leaf ?? parsed(shown)
  if (leaf === undefined) return new Identity(audit, 'CERTIFICATE_MALFORMED')
  audit.client_cert_sha256 = leaf.fingerprint
  const commonName = commonNameOf(leaf)
  if (commonName !== undefined) audit.client_cn = cut(commonName)
  if (known !== undefined) return new Identity(audit, known)
  return judge(leaf, [...(sent?.values() ?? [])], trust, now).then((verdict) => {
    onCost(verdict.costMs)
    return new Identity(audit, verdict, isLong)
  })
}

async function judge(
  leaf: Certificate,
  sent: readonly X509Certificate[],
  trust: ClientTrust,
  now: number,
): Promise<Verdict<ClientEntry>> {
  // A certificate can be made to take a millisecond.
  const issuers = await inTurns(sent, parsed, TURN_MS)
  return trust.judge(
    leaf,
    issuers.filter((issuer) => issuer !== undefined),
    now,
  )
}

function leafOf(socket: TLSSocket): X509Certificate | undefined {
  const { raw } = socket.getPeerCertificate() as Partial<PeerCertificate>
  return raw && new X509Certificate(raw)
}

/** A client that need not show a certificate: `clientAuth: disabled`. */
export const anonymous = (socket: TLSSocket, { address }: Pick<Arrival, 'address'>): Identity =>
  new Identity(auditOf(socket, address), 'NO_CERTIFICATE')

const auditOf = (socket: TLSSocket, address = 'gone'): AuditedClient => ({
  remote_address: address,
  tls_resumed: socket.isSessionReused(),
})

/** The certificates that came with the client's own, each once, by fingerprint. */
function sentWith(leaf: X509Certificate): ReadonlyMap<string, X509Certificate> {
  const sent = new Map<string, X509Certificate>()
  let looked = 0
  for (let next = leaf.issuerCertificate; next !== undefined && looked < MAX_SENT; next = next.issuerCertificate) {
    looked += 1
    sent.set(next.fingerprint256, next)
  }
  return sent
}

/** Undefined for a certificate that does not follow RFC 5280. */
function parsed({ raw }: X509Certificate): Certificate | undefined {
  try {
    return parseCertificate(raw)
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
