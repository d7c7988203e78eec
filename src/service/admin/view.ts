import { rowOf } from '../../backends/index.ts'
import { inTurns } from '../../base/turns.ts'
import { version } from '../../base/version.ts'
import type { Config } from '../../config/schema.ts'
import { combine } from '../../gateway/status.ts'
import type { ProcessReport } from '../../gateway/report.ts'
import {
  ServiceMetrics,
  type DaysLeft,
  type ListDaysLeft,
  type PoolGaps,
  type ServiceEvents,
} from '../../telemetry/service-metrics.ts'
import type { Answers } from '../workers/messages.ts'
import { History } from './history.ts'
import { combineBackends, combinePools, givenUpFor, type BackendLook, type Look, type PoolLook } from './look.ts'
import type { AdminView } from './server.ts'

/** What the admin port needs from a gateway in one or several processes. */
export interface Observable {
  /** Asks every process that serves. */
  collect<Question extends keyof Answers>(question: Question): Promise<Answers[Question][]>
  certificateDaysLeft(): readonly DaysLeft[]
  /** The time that is left of each revocation list. */
  listDaysLeft(): readonly ListDaysLeft[]
  /** What no revocation list covers, of each pool that has lists. */
  listGaps(): readonly PoolGaps[]
  readonly events: ServiceEvents
  logLinesLost(): number
  /** The configuration that is served. */
  readonly config: Config
  /** Processes that should serve. */
  readonly workers: number
}

/** Whoever asks more often sees the same picture: it costs every process some work. */
const LOOK_MS = 1000
const MINUTE_MS = 60_000

/** @param record has to be called every few seconds */
export function adminView(observable: Observable): AdminView & { record(): Promise<void> } {
  const metrics = new ServiceMetrics(version, observable, observable.events)
  const history = new History()
  const record = async () => {
    const counts = await observable.collect('counts')
    history.record(performance.now(), counts)
    history.follow(observable.config.pools.map(({ name }) => name))
  }
  let look: Promise<Look> | undefined
  let lookedAt = -Infinity
  return {
    status: async () => combine(await observable.collect('status'), version),
    metrics: async () => metrics.text(await observable.collect('metrics')),
    record,
    look: () => {
      const now = performance.now()
      if (look === undefined || now - lookedAt > LOOK_MS) {
        lookedAt = now
        look = record()
          .then(() => observable.collect('report'))
          .then((reports) => lookAt(observable, history, reports))
      }
      return look
    },
  }
}

async function lookAt(observable: Observable, history: History, reports: readonly ProcessReport[]): Promise<Look> {
  const { events, config, workers } = observable
  const now = Date.now()
  return {
    now,
    version,
    uptime: now - events.startedAt,
    draining: reports.some(({ draining }) => draining),
    pools: await inTurns(combinePools(reports), (pool) => poolLook(pool, history, performance.now())),
    backends: combineBackends(reports, version).flatMap((backend) => backendLook(backend, config)),
    processes: reports,
    workers,
    workersLost: events.workersLostWithin(15 * MINUTE_MS),
    configuration: { since: events.configuredAt, lastReload: events.lastReload },
    certificates: observable.certificateDaysLeft(),
    lists: observable.listDaysLeft(),
    listGaps: observable.listGaps(),
    logLinesLost: reports.reduce((sum, one) => sum + one.logLinesLost, observable.logLinesLost()),
  }
}

function poolLook(pool: ReturnType<typeof combinePools>[number], history: History, now: number): PoolLook {
  const { name } = pool
  const lastCall = history.lastCall(name)
  const last = (minutes: number) => history.span(name, now, minutes * MINUTE_MS)
  return {
    ...pool,
    sinceCall: lastCall === undefined ? undefined : now - lastCall,
    minute: last(1),
    fiveMinutes: last(5),
    quarter: last(15),
    hour: last(60),
    slots: history.slots(name, now),
  }
}

/** What is known of its kind goes with it: the page knows no kind. */
function backendLook(backend: ReturnType<typeof combineBackends>[number], { backends }: Config): BackendLook[] {
  const settings = backends[backend.name]
  if (settings === undefined) return []
  const { check, incidents } = rowOf(settings)
  const tokenChanged = incidents.tokenChanged?.event
  const command = check.command(settings, () => undefined, givenUpFor(backend))
  return [{ ...backend, kind: settings.kind, openAdvice: check.openAdvice, command, tokenChanged }]
}
