import type { Laboratory } from './laboratory.ts'
import type { Spread } from './statistics.ts'

/** How much of everything is measured. */
export interface Plan {
  /** How often each side of a comparison has its turn. */
  readonly repetitions: number
  /** Seconds of a turn in which as many requests are answered as can be. */
  readonly seconds: number
  readonly warmUpSeconds: number
  /** Requests of a turn in which one is answered after the other. */
  readonly serialRequests: number
  /** New connections of a turn. */
  readonly handshakes: number
  /** Seconds of a run at a fixed rate. */
  readonly rateSeconds: number
  readonly soakMinutes: number
}

/** One claim of the form "at least" or "at most", and what was measured. */
export interface Check {
  readonly what: string
  readonly relation: 'at least' | 'at most'
  readonly target: number
  readonly unit: '×' | 'ms' | '%' | 'of'
  readonly measured: Spread
}

export const passes = ({ relation, target, measured }: Check): boolean =>
  relation === 'at least' ? measured.median >= target : measured.median <= target

/** What the checks were made of, one value for each repetition. */
export interface Series {
  readonly what: string
  readonly unit: string
  readonly values: readonly number[]
}

export interface Outcome {
  readonly checks: readonly Check[]
  readonly series: readonly Series[]
  /** What a reader must know to judge the numbers. */
  readonly notes: readonly string[]
}

/** What a figure was measured with. */
export interface Bench {
  readonly laboratory: Laboratory
  readonly plan: Plan
  /** The dist/src/cli.js of another build, for the figure that compares two. */
  readonly otherCli?: string
  /** Tells whoever waits what is being done. */
  readonly progress: (text: string) => void
}

/** One question to the benchmark, by the name that the command line gives it. */
export interface Figure {
  readonly name: string
  readonly title: string
  /** Too long, or too special, to be part of everything. */
  readonly onlyByName?: true
  measure(bench: Bench): Promise<Outcome>
}

/** This gateway, or this machine, cannot be asked that: neither a pass nor a failure. */
export class NotAvailable extends Error {
  override readonly name = 'NotAvailable'
}
