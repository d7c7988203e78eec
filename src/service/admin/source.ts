import { ServiceMetrics, type DaysLeft, type ListDaysLeft } from '../../telemetry/service-metrics.ts'
import { version } from '../../base/version.ts'
import type { Answers } from '../workers/messages.ts'
import type { AdminSource } from './server.ts'
import { combine } from '../../gateway/status.ts'

/** What the admin port needs of a gateway, in one process or in several. */
export interface Observable {
  /** Asks every process that serves. */
  collect<Question extends keyof Answers>(question: Question): Promise<Answers[Question][]>
  certificateDaysLeft(): readonly DaysLeft[]
  /** Of revocation lists. */
  listDaysLeft(): readonly ListDaysLeft[]
}

export function adminSource(observable: Observable): AdminSource {
  const metrics = new ServiceMetrics(version, observable)
  return {
    status: async () => combine(await observable.collect('status'), version),
    metrics: async () => metrics.text(await observable.collect('metrics')),
  }
}
