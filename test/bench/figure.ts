import type { Laboratory } from './laboratory.ts'
import type { Spread } from './statistics.ts'

/** How much each figure measures. */
export interface Plan {
  /** Turns of each side of a comparison. */
  readonly repetitions: number
  /** Seconds of a closed-loop turn, in which each connection sends its next request after the reply. */
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Requests of a turn that sends one request at a time. */
  readonly serialRequests: number
  /** New connections of a turn. */
  readonly handshakes: number
  /** Seconds of a run at a fixed rate. */
  readonly rateSeconds: number
  readonly soakMinutes: number
}

/** One claim of the form "at least" or "at most", and its measured value. */
export interface Check {
  readonly what: string
  readonly relation: 'at least' | 'at most'
  readonly target: number
  readonly unit: '×' | 'ms' | '%' | 'of' | 'MiB'
  readonly measured: Spread
}

export const passes = ({ relation, target, measured }: Check): boolean =>
  relation === 'at least' ? measured.median >= target : measured.median <= target

/** The raw values behind the checks, one for each repetition. */
export interface Series {
  readonly what: string
  readonly unit: string
  readonly values: readonly number[]
}

export interface Outcome {
  readonly checks: readonly Check[]
  readonly series: readonly Series[]
  /** Conditions that a reader must know to judge the numbers. */
  readonly notes: readonly string[]
}

/** The environment of a measurement. */
export interface Bench {
  readonly laboratory: Laboratory
  readonly plan: Plan
  /** The dist/programs/cli.js of another build, for the figure that compares two builds. */
  readonly otherCli?: string
  /** Reports progress to whoever waits. */
  readonly progress: (text: string) => void
}

/** One question to the benchmark, by its name on the command line. */
export interface Figure {
  readonly name: string
  readonly title: string
  /** The figure is too long, or too special, for a run of all figures. */
  readonly onlyByName?: true
  measure(bench: Bench): Promise<Outcome>
}

/** This gateway, or this machine, cannot measure the figure: neither a pass nor a failure. */
export class NotAvailable extends Error {
  override readonly name = 'NotAvailable'
}
