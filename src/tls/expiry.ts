import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Credentials } from '../settings/credentials.ts'
import { certificatesIn } from '../settings/certificate-file.ts'
import { rowOf, type BackendKind } from '../backends/index.ts'
import type { BackendCertificate } from '../backends/row.ts'
import type { Config } from '../config/schema.ts'
import { cut } from '../telemetry/audit.ts'
import type { Log } from '../telemetry/log.ts'
import { parseCertificate, type Certificate } from '../x509/certificate.ts'
import type { RevocationList } from '../x509/crl.ts'
import { gapsOf, type Gap } from '../x509/list-coverage.ts'
import { remembered } from '../x509/remembered.ts'

/**
 * Days before its end at which a certificate is announced, once for each. A list is announced when a quarter of its
 * time is left.
 */
const THRESHOLDS = [1, 7, 14, 30] as const
/** Milliseconds; short because lists may be valid for hours only. */
const CHECK_MS = 60_000
const ANNOUNCED_SHARE = 0.25
const DAY_MS = 24 * 3_600_000
/** It bounds what metrics must carry. The log has no bound. */
const MAX_CERTIFICATES = 100

/** `kmip_client` is an example of a backend's certificate. */
export type CertificateRole = 'server' | 'server_chain' | 'client_ca' | `${BackendKind}_${BackendCertificate['role']}`

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
  /** Negative after its expiry. */
  readonly days: number
}

/** A revocation list of an allow-list entry. */
interface ListLife {
  readonly pool: string
  /** On one line. */
  readonly issuer: string
  readonly list: RevocationList
}

/** An entry of a pool's allow-list. */
interface EntryLists {
  readonly pool: string
  readonly cas: readonly Certificate[]
  readonly lists: readonly RevocationList[]
}

export interface ListDaysLeft {
  readonly pool: string
  readonly issuer: string
  /** Days until a newer list is due; negative afterwards. */
  readonly days: number
  /** Share of the time from its issue to the next list, from 1 to 0; negative afterwards. */
  readonly share: number
}

/** What no revocation list of a pool's entries covers. */
export interface PoolGaps {
  readonly pool: string
  readonly gaps: readonly ListGap[]
}

interface ListGap {
  /** On one line. */
  readonly issuer: string
  readonly certificates: Gap['certificates']
  readonly reason: Gap['why']
}

/** Watches the certificates and lists of a configuration, and logs in time that one of them ends. */
export class ExpiryWatch {
  readonly #log: Log
  readonly #now: () => number
  /** The smallest threshold that was logged for each certificate; 0 after its expiry. */
  readonly #told = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #certificates: readonly CertificateLife[] = []
  #lists: readonly ListLife[] = []
  #entries: readonly EntryLists[] = []
  /** The gaps of each pool that has lists. A gap was logged when it came. */
  #gaps: readonly PoolGaps[] = []

  constructor(log: Log, config: Config, now: () => number = Date.now) {
    this.#log = log
    this.#now = now
    this.#timer = setInterval(() => this.check(), CHECK_MS)
    this.#timer.unref()
    this.follow(config)
  }

  /** Watches the certificates of another configuration from now on, and examines them at once. */
  follow(config: Config): void {
    this.#certificates = certificatesOf(config)
    this.#lists = listsOf(config)
    this.#entries = entriesOf(config)
    const present = new Set([...this.#certificates.map(({ fingerprint }) => fingerprint), ...this.#lists.map(nameOf)])
    for (const name of this.#told.keys()) if (!present.has(name)) this.#told.delete(name)
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
    this.#checkGaps()
  }

  /** A list that covers nothing leaves no other trace: with `whenStale: warn`, revoked clients are let in. */
  #checkGaps(): void {
    const known = new Set(this.#gaps.flatMap(fieldsOf).map((fields) => JSON.stringify(fields)))
    this.#gaps = poolGapsOf(this.#entries, this.#now())
    for (const fields of this.#gaps.flatMap(fieldsOf)) {
      if (!known.has(JSON.stringify(fields))) this.#log.error('crl_gap', fields)
    }
  }

  #checkList(life: ListLife): void {
    const { pool, issuer, list } = life
    const { thisUpdate, nextUpdate } = list
    const left = nextUpdate - this.#now()
    const stage = left < 0 ? 0 : left < (nextUpdate - thisUpdate) * ANNOUNCED_SHARE ? 1 : 2
    const name = nameOf(life)
    if (stage === 2 || stage >= (this.#told.get(name) ?? Infinity)) return
    this.#told.set(name, stage)
    const hours = Math.floor(left / 3_600_000)
    const fields = { pool, issuer, next_update: new Date(nextUpdate).toISOString(), hours_left: hours }
    if (stage === 0) this.#log.error('crl_expired', fields)
    else this.#log.warn('crl_expires', fields)
  }

  daysLeft(): CertificateDaysLeft[] {
    const now = this.#now()
    return mostUrgent(
      this.#certificates.map(({ role, subject, expires }) => ({ role, subject, days: (expires - now) / DAY_MS })),
    )
  }

  /** If an issuer has several lists, the one that ends first. */
  listDaysLeft(): ListDaysLeft[] {
    const now = this.#now()
    const ends = new Map<string, ListDaysLeft>()
    for (const { pool, issuer, list } of this.#lists) {
      const left = list.nextUpdate - now
      const days = left / DAY_MS
      const share = left / (list.nextUpdate - list.thisUpdate)
      const name = JSON.stringify([pool, issuer])
      if (days < (ends.get(name)?.days ?? Infinity)) ends.set(name, { pool, issuer, days, share })
    }
    return mostUrgent([...ends.values()])
  }

  /** For each pool that has lists, as of the last {@link check}. */
  listGaps(): readonly PoolGaps[] {
    return this.#gaps
  }

  close(): void {
    clearInterval(this.#timer)
  }
}

/** All, in their order; of very many those that end first. */
const mostUrgent = <Left extends { readonly days: number }>(all: readonly Left[]): Left[] =>
  all.length <= MAX_CERTIFICATES
    ? [...all]
    : all.toSorted((one, other) => one.days - other.days).slice(0, MAX_CERTIFICATES)

/** Every certificate whose expiry would stop something, each once. */
export function certificatesOf({ listen, pools, backends }: Config): CertificateLife[] {
  const [server, ...chain] = serverCertificates(listen.tls)
  const clientCas = pools
    .flatMap(({ clients }) => clients)
    .flatMap(({ roots, intermediates }) => [...roots, ...intermediates])
  const lives = [
    ...(server === undefined ? [] : [lifeOf('server', server)]),
    ...chain.map((certificate) => lifeOf('server_chain', certificate)),
    ...clientCas.map((certificate) => lifeOf('client_ca', certificate)),
    ...Object.values(backends).flatMap((settings) =>
      rowOf(settings)
        .certificates(settings)
        .map(({ role, certificate }) => lifeOf(`${settings.kind}_${role}`, certificate)),
    ),
  ]
  return [...new Map(lives.map((life) => [life.fingerprint, life])).values()]
}

/** Every entry that has revocation lists. Most pools name the same CAs. */
function entriesOf({ pools }: Config): EntryLists[] {
  const parsed = new Map<string, Certificate>()
  const certificateOf = ({ raw, fingerprint256 }: X509Certificate) =>
    remembered(parsed, fingerprint256, () => parseCertificate(raw))
  return pools.flatMap(({ name: pool, clients }) =>
    clients.flatMap(({ roots, intermediates, revocation }) => {
      if (revocation === undefined) return []
      return [{ pool, cas: [...roots, ...intermediates].map(certificateOf), lists: revocation.lists }]
    }),
  )
}

/** Each gap of a pool once. That a list has ended is no gap: another event says so. */
function poolGapsOf(entries: readonly EntryLists[], now: number): PoolGaps[] {
  const pools = new Map<string, Map<string, ListGap>>()
  for (const { pool, cas, lists } of entries) {
    const gaps = remembered(pools, pool, () => new Map<string, ListGap>())
    for (const { issuer, certificates, why } of gapsOf(cas, lists, now)) {
      const gap = { issuer: cut(issuer.text), certificates, reason: why }
      if (why !== 'EXPIRED') gaps.set(JSON.stringify(gap), gap)
    }
  }
  return [...pools].map(([pool, gaps]) => ({ pool, gaps: [...gaps.values()] }))
}

const nameOf = ({ pool, list }: ListLife): string => `${pool} ${list.fingerprint}`

/** What the log says of each gap. */
const fieldsOf = ({ pool, gaps }: PoolGaps) => gaps.map((gap) => ({ pool, ...gap }))

/** Every revocation list, once for each pool that uses it. */
const listsOf = ({ pools }: Config): ListLife[] =>
  pools.flatMap(({ name: pool, clients }) => {
    const lists = clients.flatMap(({ revocation }) => revocation?.lists ?? [])
    const distinct = new Map(lists.map((list) => [list.fingerprint, list]))
    return [...distinct.values()].map((list) => ({ pool, issuer: cut(list.issuer.text), list }))
  })

function serverCertificates(credentials: Credentials): readonly X509Certificate[] {
  const options = credentials.secureContextOptions()
  if (Buffer.isBuffer(options.cert)) return certificatesIn(options.cert)
  // Only OpenSSL can read the certificates in a PKCS#12 file.
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
