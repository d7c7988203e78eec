import type { BackendStatus } from '../ekm/backend/backend.ts'
import type { PoolStatus } from '../ekm/pool.ts'

/** The state of one process, or of all processes together. */
export interface GatewayStatus {
  readonly version: string
  /** Whether any pool can be served and the gateway is not shutting down. */
  readonly ready: boolean
  readonly draining: boolean
  /** The number of running requests. */
  readonly requests: number
  /** Open connections by client: allowed by a pool, verified but allowed by none, or unverified. */
  readonly connections: { readonly allowed: number; readonly verified: number; readonly unverified: number }
  readonly pools: readonly PoolStatus[]
  readonly backends: readonly BackendStatus[]
}

/** One view of several processes. A pool or a backend is as good as in the worst process; counts are added up. */
export function combine(statuses: readonly GatewayStatus[], version: string): GatewayStatus {
  const pools = new Map<string, PoolStatus>()
  for (const pool of statuses.flatMap((status) => status.pools)) {
    if (pools.get(pool.name)?.ready !== false) pools.set(pool.name, pool)
  }
  const backends = new Map<string, BackendStatus>()
  for (const backend of statuses.flatMap((status) => status.backends)) {
    const { name, away, up, ready, running, waiting, connections, connectionsWanted } = backend
    const others = backends.get(name)
    backends.set(name, {
      name,
      away: away || others?.away === true,
      up: up && others?.up !== false,
      ready: ready && others?.ready !== false,
      running: running + (others?.running ?? 0),
      waiting: waiting + (others?.waiting ?? 0),
      connections: connections + (others?.connections ?? 0),
      ...(connectionsWanted !== undefined && {
        connectionsWanted: connectionsWanted + (others?.connectionsWanted ?? 0),
      }),
    })
  }
  const draining = statuses.some((status) => status.draining)
  return {
    version,
    ready: !draining && [...pools.values()].some(({ ready }) => ready),
    draining,
    requests: sum(statuses.map(({ requests }) => requests)),
    connections: {
      allowed: sum(statuses.map(({ connections }) => connections.allowed)),
      verified: sum(statuses.map(({ connections }) => connections.verified)),
      unverified: sum(statuses.map(({ connections }) => connections.unverified)),
    },
    pools: [...pools.values()],
    backends: [...backends.values()],
  }
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
