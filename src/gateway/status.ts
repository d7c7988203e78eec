import type { BackendStatus } from '../ekm/backend/backend.ts'
import type { PoolStatus } from '../ekm/pool.ts'

/** How one process, or all of them together, is doing. */
export interface GatewayStatus {
  readonly version: string
  /** Whether any pool can be served, and the gateway is not about to end. */
  readonly ready: boolean
  readonly draining: boolean
  /** Under way. */
  readonly requests: number
  /** Open connections, by their client: one that a pool allows, another with a certificate that was verified, all others. */
  readonly connections: { readonly allowed: number; readonly verified: number; readonly unverified: number }
  readonly pools: readonly PoolStatus[]
  readonly backends: readonly BackendStatus[]
}

/** One view of several processes: a pool and a backend are as good as the worst of them says, and what is counted adds up. */
export function combine(statuses: readonly GatewayStatus[], version: string): GatewayStatus {
  const pools = new Map<string, PoolStatus>()
  for (const pool of statuses.flatMap((status) => status.pools)) {
    if (pools.get(pool.name)?.ready !== false) pools.set(pool.name, pool)
  }
  const backends = new Map<string, BackendStatus>()
  for (const { name, away, up, ready, running, waiting, connections } of statuses.flatMap(
    (status) => status.backends,
  )) {
    const others = backends.get(name)
    backends.set(name, {
      name,
      away: away || others?.away === true,
      up: up && others?.up !== false,
      ready: ready && others?.ready !== false,
      running: running + (others?.running ?? 0),
      waiting: waiting + (others?.waiting ?? 0),
      connections: connections + (others?.connections ?? 0),
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

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
