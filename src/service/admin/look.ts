import type { BackendKind } from '../../backends/index.ts'
import type { BackendEvent } from '../../gateway/backend-events.ts'
import { combine } from '../../gateway/status.ts'
import type { BackendReport, KeyReport, PoolReport, ProcessReport } from '../../gateway/report.ts'
import type { DaysLeft, ListDaysLeft, PoolGaps, ReloadOutcome } from '../../telemetry/service-metrics.ts'
import type { Span } from './history.ts'

/** What there is to see of a pool. */
export interface PoolLook extends PoolReport {
  /** Milliseconds since it was called last; undefined where it was not within the time that is known. */
  readonly sinceCall: number | undefined
  readonly minute: Span
  readonly fiveMinutes: Span
  readonly quarter: Span
  readonly hour: Span
  /** Each half minute of the last hour, the oldest first. */
  readonly slots: readonly Span[]
}

/** What there is to see of a backend. */
export interface BackendLook extends BackendReport {
  readonly kind: BackendKind
  /** What to do if it does not open for this reason, and a command that looks at it without the gateway. */
  readonly openAdvice: Readonly<Record<string, string>>
  readonly command: string | undefined
  /** The event by which it tells that another token has its name. */
  readonly tokenChanged: string | undefined
}

/** Why a backend could not be opened, by the OperatorError's code; undefined if it is not given up. */
export function givenUpFor({ events, givenUp }: BackendReport): string | undefined {
  const last = givenUp ? events.find(({ event }) => event === 'backend_given_up') : undefined
  return /^reason: (\w+)/.exec(last?.text ?? '')?.[1]
}

/** All that the status page shows. */
export interface Look {
  /** In milliseconds since the epoch. */
  readonly now: number
  readonly version: string
  /** Milliseconds since the gateway began. */
  readonly uptime: number
  readonly draining: boolean
  readonly pools: readonly PoolLook[]
  readonly backends: readonly BackendLook[]
  readonly processes: readonly ProcessReport[]
  /** Processes that should serve. */
  readonly workers: number
  /** Those that were lost in the last quarter of an hour. */
  readonly workersLost: number
  readonly configuration: { readonly since: number; readonly lastReload: ReloadOutcome | undefined }
  readonly certificates: readonly DaysLeft[]
  readonly lists: readonly ListDaysLeft[]
  readonly listGaps: readonly PoolGaps[]
  readonly logLinesLost: number
}

/** One view of the pools of several processes: a key is as good as the worst of them says. */
export function combinePools(reports: readonly ProcessReport[]): PoolReport[] {
  const pools = new Map<string, PoolReport>()
  for (const pool of reports.flatMap((report) => report.pools)) {
    const other = pools.get(pool.name)
    pools.set(pool.name, other === undefined ? pool : worseOf(other, pool))
  }
  return [...pools.values()]
}

function worseOf(one: PoolReport, other: PoolReport): PoolReport {
  const keys = new Map(one.keys.map((key) => [key.name, key]))
  for (const key of other.keys) {
    const known = keys.get(key.name)
    keys.set(key.name, known === undefined ? key : worseKey(known, key))
  }
  const clients = new Map(one.clients.map(({ client, days }) => [client, days]))
  for (const { client, days } of other.clients) clients.set(client, Math.max(days, clients.get(client) ?? -Infinity))
  return {
    ...(one.ready ? other : one),
    keys: [...keys.values()].slice(0, Math.max(one.keys.length, other.keys.length)),
    clients: [...clients].map(([client, days]) => ({ client, days })),
  }
}

function worseKey(one: KeyReport, other: KeyReport): KeyReport {
  if (one.usable === false || other.usable === undefined) return one
  if (other.usable === false || one.ways.length === 0) return other
  return one.ways.some(({ way }) => way === undefined) ? one : { ...other, ways: firstKnown(one, other) }
}

/** A way is known since the first process found it. */
const firstKnown = (one: KeyReport, other: KeyReport): KeyReport['ways'] =>
  other.ways.map((way) => {
    const known = one.ways.find(({ algorithm }) => algorithm === way.algorithm)
    return known !== undefined && known.way === way.way && known.since < way.since ? known : way
  })

const MAX_EVENTS = 8
/** What several processes see of one incident, they tell at about the same time. */
const SAME_MS = 5000

/** One view of the backends of several processes. */
export function combineBackends(reports: readonly ProcessReport[], version: string): BackendReport[] {
  const statuses = reports.map(({ requests, connections, draining, pools, backends }) => ({
    version,
    ready: true,
    draining,
    requests,
    connections,
    pools,
    backends,
  }))
  return combine(statuses, version).backends.map((status) => {
    const all = reports.flatMap(({ backends }) => backends.filter(({ name }) => name === status.name))
    const downSince = Math.min(...all.map((one) => one.downSince ?? Infinity))
    return {
      ...status,
      product: all.find(({ away }) => !away)?.product ?? '',
      givenUp: all.some(({ givenUp }) => givenUp),
      ...(downSince < Infinity && { downSince }),
      events: combineEvents(all.flatMap(({ events }) => events)),
    }
  })
}

function combineEvents(events: readonly BackendEvent[]): BackendEvent[] {
  const latestFirst = [...events].sort((one, other) => other.at - one.at)
  const kept: BackendEvent[] = []
  for (const event of latestFirst) {
    const index = kept.findIndex(
      (one) => one.event === event.event && one.text === event.text && one.at - event.at < SAME_MS,
    )
    const same = kept[index]
    if (same === undefined) kept.push(event)
    else kept[index] = { ...same, times: same.times + event.times }
  }
  return kept.slice(0, MAX_EVENTS)
}
