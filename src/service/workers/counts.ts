import { merged } from '../../telemetry/page.ts'
import type { MetricSnapshot } from '../../telemetry/snapshot.ts'

/**
 * The counts of all workers, including lost ones. Prometheus takes a sum that falls for a counter that began again, and
 * what is left of it for an increase: the end of a worker would look like a burst of all that the others ever counted.
 */
export class Counts<Worker> {
  /** The last answer of each worker. */
  readonly #last = new Map<Worker, MetricSnapshot>()
  /** The sum of the counters of workers that have ended. */
  #ended: MetricSnapshot = []

  /**
   * @param answers of the workers that answered; the last counts of a silent worker stay in use
   * @returns snapshots that add up to the counts of all
   */
  merge(answers: ReadonlyMap<Worker, MetricSnapshot>): MetricSnapshot[] {
    for (const [worker, snapshot] of answers) this.#last.set(worker, snapshot)
    const silent = [...this.#last].filter(([worker]) => !answers.has(worker)).map(([, snapshot]) => counted(snapshot))
    return [...answers.values(), ...silent, this.#ended]
  }

  /** The worker has ended. What it counted after its last answer is lost. */
  forget(worker: Worker): void {
    const last = this.#last.get(worker)
    if (last === undefined) return
    this.#last.delete(worker)
    this.#ended = merged([this.#ended, counted(last)])
  }
}

/** A gauge describes one moment, and is dropped afterwards. */
const counted = (snapshot: MetricSnapshot): MetricSnapshot =>
  snapshot.filter(({ type }) => type === 'counter' || type === 'histogram')
