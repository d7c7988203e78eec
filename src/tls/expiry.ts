import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Credentials } from '../settings/credentials.ts'
import { parsePemCertificates } from '../settings/fields.ts'
import type { Config } from '../config/schema.ts'
import { cut } from '../telemetry/audit.ts'
import type { Log } from '../telemetry/log.ts'
import type { RevocationList } from '../x509/crl.ts'

/** Days before its end at which a certificate is announced, each once. A list is announced when a quarter of its time is left. */
const THRESHOLDS = [1, 7, 14, 30] as const
/** Lists may be good for hours only. */
const CHECK_MS = 60_000
const ANNOUNCED_SHARE = 0.25
const DAY_MS = 24 * 3_600_000
/** More than anybody's configuration has; a bound on what metrics are asked to carry. */
const MAX_CERTIFICATES = 100

export type CertificateRole = 'server' | 'server_chain' | 'client_ca' | 'kmip_client' | 'kmip_ca'

export interface CertificateLife {
  readonly role: CertificateRole
  /** On one line. */
  readonly subject: string
  readonly fingerprint: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

export interface CertificateDaysLeft {
  readonly role: CertificateRole
  readonly subject: string
  /** Negative once it has expired. */
  readonly days: number
}

/** A revocation list of an allow-list entry. */
interface ListLife {
  readonly pool: string
  /** On one line. */
  readonly issuer: string
  readonly list: RevocationList
}

export interface ListDaysLeft {
  readonly pool: string
  readonly issuer: string
  /** Until a newer list should be there; negative afterwards. */
  readonly days: number
}

/** Watches the certificates and lists of a configuration, and tells the log in time that one of them ends. */
export class ExpiryWatch {
  readonly #log: Log
  readonly #now: () => number
  /** The smallest threshold that was told of each certificate; 0 for one that has expired. */
  readonly #told = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #certificates: readonly CertificateLife[] = []
  #lists: readonly ListLife[] = []

  constructor(log: Log, config: Config, now: () => number = Date.now) {
    this.#log = log
    this.#now = now
    this.#timer = setInterval(() => this.check(), CHECK_MS)
    this.#timer.unref()
    this.follow(config)
  }

  /** Watches the certificates of another configuration from now on, and looks at them. */
  follow(config: Config): void {
    this.#certificates = certificatesOf(config).slice(0, MAX_CERTIFICATES)
    this.#lists = listsOf(config).slice(0, MAX_CERTIFICATES)
    this.check()
  }

  check(): void {
    for (const { fingerprint, expires, role, subject } of this.#certificates) {
      const left = (expires - this.#now()) / DAY_MS
      const threshold = left < 0 ? 0 : THRESHOLDS.find((days) => left <= days)
      if (threshold === undefined || threshold >= (this.#told.get(fingerprint) ?? Infinity)) continue
      this.#told.set(fingerprint, threshold)
      const fields = { role, subject, expires: new Date(expires).toISOString(), days_left: Math.floor(left) }
      if (threshold === 0) this.#log.error('certificate_expired', fields)
      else this.#log.warn('certificate_expires', fields)
    }
    for (const life of this.#lists) this.#checkList(life)
  }

  #checkList({ pool, issuer, list: { fingerprint, thisUpdate, nextUpdate } }: ListLife): void {
    const left = nextUpdate - this.#now()
    const stage = left < 0 ? 0 : left < (nextUpdate - thisUpdate) * ANNOUNCED_SHARE ? 1 : 2
    const name = `${pool} ${fingerprint}`
    if (stage === 2 || stage >= (this.#told.get(name) ?? Infinity)) return
    this.#told.set(name, stage)
    const hours = Math.floor(left / 3_600_000)
    const fields = { pool, issuer, next_update: new Date(nextUpdate).toISOString(), hours_left: hours }
    if (stage === 0) this.#log.error('crl_expired', fields)
    else this.#log.warn('crl_expires', fields)
  }

  daysLeft(): CertificateDaysLeft[] {
    const now = this.#now()
    return this.#certificates.map(({ role, subject, expires }) => ({ role, subject, days: (expires - now) / DAY_MS }))
  }

  /** Of several lists of one issuer the one that ends first. */
  listDaysLeft(): ListDaysLeft[] {
    const now = this.#now()
    const ends = new Map<string, ListDaysLeft>()
    for (const { pool, issuer, list } of this.#lists) {
      const days = (list.nextUpdate - now) / DAY_MS
      const name = JSON.stringify([pool, issuer])
      if (days < (ends.get(name)?.days ?? Infinity)) ends.set(name, { pool, issuer, days })
    }
    return [...ends.values()]
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

/** Every certificate whose end would stop something, each once. */
export function certificatesOf({ listen, pools, backends }: Config): CertificateLife[] {
  const [server, ...chain] = serverCertificates(listen.tls)
  const clientCas = pools
    .flatMap(({ clients }) => clients)
    .flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
  const kmip = Object.values(backends).flatMap((backend) => (backend.kind === 'kmip' ? [backend.tls] : []))
  const lives = [
    ...(server === undefined ? [] : [lifeOf('server', server)]),
    ...chain.map((certificate) => lifeOf('server_chain', certificate)),
    ...clientCas.map((certificate) => lifeOf('client_ca', certificate)),
    ...kmip.flatMap(({ certificate }) => parse(certificate).map((parsed) => lifeOf('kmip_client', parsed))),
    ...kmip.flatMap(({ ca }) => parse(ca).map((parsed) => lifeOf('kmip_ca', parsed))),
  ]
  return [...new Map(lives.map((life) => [life.fingerprint, life])).values()]
}

/** Every revocation list, once for each pool that uses it. */
const listsOf = ({ pools }: Config): ListLife[] =>
  pools.flatMap(({ name: pool, clients }) => {
    const lists = clients.flatMap(({ revocation }) => revocation?.lists ?? [])
    const distinct = new Map(lists.map((list) => [list.fingerprint, list]))
    return [...distinct.values()].map((list) => ({ pool, issuer: cut(list.issuer.text), list }))
  })

const parse = (pem: Uint8Array) => parsePemCertificates(Buffer.from(pem).toString('latin1')) ?? []

function serverCertificates(credentials: Credentials): X509Certificate[] {
  const options = credentials.secureContextOptions()
  if (Buffer.isBuffer(options.cert)) return parse(options.cert)
  // Of a PKCS#12 file, only OpenSSL can say what is in it.
  const context = createSecureContext(options).context as { getCertificate?: () => Buffer | null }
  const certificate = context.getCertificate?.()
  return certificate ? [new X509Certificate(certificate)] : []
}

const lifeOf = (role: CertificateRole, { subject, validTo, fingerprint256 }: X509Certificate): CertificateLife => ({
  role,
  subject: cut(subject.replaceAll('\n', ', ')),
  fingerprint: fingerprint256,
  expires: Date.parse(validTo),
})
