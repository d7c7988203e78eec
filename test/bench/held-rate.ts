import type { Bench, Outcome } from './figure.ts'
import type { Server } from './laboratory.ts'
import { openConnections, openLoop, type OpenLoopResult } from './load.ts'
import type { Call } from './request.ts'
import { quantile, spreadOf, sum } from './statistics.ts'
import { CONNECTIONS } from './turns.ts'

/** The quota that AWS publishes for the same task (KMS external key stores). Azure publishes none. */
export const RATE = 1800
const WINDOWS = 6
/**
 * A minute is warmed up for 10 s. For so long, V8 compiles functions beside a new server on the same core, and at a fixed
 * rate that is what the slowest requests show.
 */
const WARM_UP_SHARE = 6
/** Failures that are closer together than this are one event. */
const EVENT_SECONDS = 1

/**
 * Sends {@link RATE} requests a second.
 *
 * @param what what is asked, for the progress
 * @param disturb begins what shall happen meanwhile, after the warm-up; returns how to end it
 */
export async function hold(
  { plan, progress }: Bench,
  what: string,
  { target }: Server,
  calls: readonly Call[],
  disturb: () => () => void = () => () => undefined,
): Promise<OpenLoopResult> {
  progress(`${what}, warming up`)
  const connections = await openConnections(target, CONNECTIONS)
  await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds / WARM_UP_SHARE)
  progress(`${what}, ${plan.rateSeconds} s`)
  const end = disturb()
  const result = await openLoop({ connections, calls, rate: RATE }, plan.rateSeconds)
  end()
  for (const connection of connections) connection.close()
  return result
}

/** What a held rate showed, with what tells a slow server from a machine that was slow itself. */
export function outcomeOfHeldRate(what: string, result: OpenLoopResult): Outcome {
  const { times, failures, failedAt, ownDelay, stolen } = result
  const ms = (name: string, value: number) => ({ what: `${what}: ${name}`, unit: 'ms', values: [value] })
  return {
    checks: [
      {
        what: `${what}: failed requests`,
        relation: 'at most',
        target: 0,
        unit: 'of',
        measured: spreadOf([sum(Object.values(failures))]),
      },
      {
        what: `${what}: 99th percentile`,
        relation: 'at most',
        target: 10,
        unit: 'ms',
        measured: { ...spreadOf(windows(times)), median: quantile(times, 0.99) },
      },
    ],
    series: [
      ms('median', quantile(times, 0.5)),
      ms('99.9th percentile', quantile(times, 0.999)),
      ms('longest', quantile(times, 1)),
      ms("99th percentile of the load generator's own delay", ownDelay.late),
      ms("longest of the load generator's own delays", ownDelay.longest),
      ms('taken from the cores by the host of the machine', stolen),
    ],
    notes: [
      ...Object.entries(failures).map(([failure, count]) => `${what}: ${count} × ${failure}.`),
      ...events(failedAt).map(
        ({ first, last, count }) =>
          `${what}: ${count} of them ended ${first.toFixed(2)} to ${last.toFixed(2)} s after the first request.`,
      ),
    ],
  }
}

/** A condition of every held rate. */
export const SPREAD_NOTE = `A request's time counts from its due time. The spread is that of ${WINDOWS} parts of the run.`

/** The 99th percentile of each part of a run. */
function windows(times: readonly number[]): number[] {
  const length = Math.ceil(times.length / WINDOWS)
  return Array.from({ length: WINDOWS }, (_, index) =>
    quantile(times.slice(index * length, (index + 1) * length), 0.99),
  )
}

interface Event {
  readonly first: number
  last: number
  count: number
}

function events(seconds: readonly number[]): Event[] {
  const found: Event[] = []
  for (const second of seconds) {
    const latest = found.at(-1)
    if (latest !== undefined && second - latest.last < EVENT_SECONDS) {
      latest.last = second
      latest.count += 1
    } else found.push({ first: second, last: second, count: 1 })
  }
  return found
}
