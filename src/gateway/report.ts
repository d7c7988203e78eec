import { AwaitedAdapter } from '../backends/awaited-adapter.ts'
import type { BackendStatus } from '../ekm/backend/backend.ts'
import type { KnownWay } from '../ekm/key-standing.ts'
import type { Pool, PoolStatus } from '../ekm/pool.ts'
import type { Likeness, PooledKey } from '../ekm/pooled-key.ts'
import type { BackendEvent, BackendEvents } from './backend-events.ts'
import type { OpenBackend } from './generation.ts'

/** Keys of a pool that are told one by one; those that cannot be used first. */
const MAX_KEYS = 50

/** What one key is, and how it is done. */
export interface KeyReport {
  readonly name: string
  /** `AES 256`, `RSA 3072`; absent where it is not known yet. */
  readonly kind?: string
  /** Absent before it was looked at. */
  readonly usable?: boolean
  /** Why it cannot be used, by the error's code. */
  readonly problem?: string
  readonly ways: readonly KnownWay[]
  readonly standby?: Likeness
}

export interface PoolReport extends PoolStatus {
  readonly backend: string
  /** As many as it lists; 0 where it has every key of its backend. */
  readonly listed: number
  readonly keys: readonly KeyReport[]
  /** The certificates that its clients showed last. */
  readonly clients: readonly { readonly client: string; readonly days: number }[]
}

export interface BackendReport extends BackendStatus {
  readonly product: string
  /** Another attempt to open it would help nothing. */
  readonly givenUp: boolean
  /** In milliseconds since the epoch. */
  readonly downSince?: number
  /** The latest first. */
  readonly events: readonly BackendEvent[]
}

/** How one process that serves is doing, for people. */
export interface ProcessReport {
  readonly pid: number
  /** In milliseconds since the epoch. */
  readonly since: number
  readonly memoryBytes: number
  readonly requests: number
  readonly connections: { readonly allowed: number; readonly verified: number; readonly unverified: number }
  readonly draining: boolean
  readonly logLinesLost: number
  readonly pools: readonly PoolReport[]
  readonly backends: readonly BackendReport[]
}

export function poolReport(
  pool: Pool,
  clients: readonly { readonly pool: string; readonly client: string; readonly days: number }[],
): PoolReport {
  const keys = [...pool.keys].map(([name, key]) => keyReport(name, key)).sort(worseFirst)
  return {
    ...pool.status,
    backend: pool.backendName,
    listed: keys.length,
    keys: keys.slice(0, MAX_KEYS),
    clients: clients.filter((client) => client.pool === pool.name).map(({ client, days }) => ({ client, days })),
  }
}

const worseFirst = (one: KeyReport, other: KeyReport): number => rankOf(one) - rankOf(other)
const rankOf = ({ usable, standby, ways }: KeyReport): number => {
  if (usable === false) return 0
  return standby === 'different' || ways.some(({ way }) => way === undefined) ? 1 : 2
}

function keyReport(name: string, key: PooledKey): KeyReport {
  const { description, isUsable, problem, ways, likeness } = key
  return {
    name,
    ...(description && { kind: `${description.kty === 'oct' ? 'AES' : 'RSA'} ${description.bits}` }),
    ...(isUsable !== undefined && { usable: isUsable }),
    ...(problem !== undefined && { problem }),
    ways,
    ...(likeness !== undefined && { standby: likeness }),
  }
}

export function backendReport({ adapter, backend }: OpenBackend, events: BackendEvents): BackendReport {
  const { name } = backend
  const { vendor, name: product } = adapter.product
  const downSince = events.downSince(name)
  return {
    ...backend.status,
    product: `${vendor}, ${product}`,
    givenUp: adapter instanceof AwaitedAdapter && adapter.isGivenUp,
    ...(downSince !== undefined && { downSince }),
    events: events.of(name),
  }
}
