import type { Outcome, Step } from './outcome.ts'
import type { Probe } from './probe.ts'

/** `must`: the reference obliges, and a proxy that fails it is not conformant. `should`: it is told, and no more. */
export type Severity = 'must' | 'should'

/** What a case cannot be run without, and the option that gives it. */
export const needs = {
  prefix: '--url with a path prefix',
  aes: '--aes-key NAME',
  'second aes': '--aes-key NAME, twice',
  rsa: '--rsa-key NAME',
  refused: '--refused NAME=CERT.PEM,KEY.PEM',
  disabled: '--disabled-key NAME',
  load: '--load RPS --duration SECONDS',
} as const

export type Need = keyof typeof needs

/**
 * When a case is run. `calls`: beside others. `measurement`: alone, so that nothing disturbs the clock. `afterwards`: it
 * sends nothing, and judges all that came back to the others.
 */
export type Phase = 'calls' | 'measurement' | 'afterwards'

/** One rule of the EKM Proxy API, and how to tell whether a proxy keeps it. */
export interface Case {
  /** Stable: `group.rule`. */
  readonly id: string
  /** Where the rule is: a heading of the EKM Proxy API 0.1-preview, or another document's clause. */
  readonly clause: string
  readonly severity: Severity
  /** What holds of a proxy that keeps the rule. */
  readonly title: string
  readonly needs?: readonly Need[]
  readonly phase?: Phase
  /** Rejects with an `Unmet` where the proxy breaks the rule, with a `NotApplicable` where there is nothing to tell. */
  readonly run: (probe: Probe) => Promise<void> | void
}

export interface CaseResult {
  readonly id: string
  readonly clause: string
  readonly severity: Severity
  readonly title: string
  readonly outcome: Outcome
  /** Why it was not run. */
  readonly reason?: string
  /** How many things were checked. */
  readonly checks: number
  /** The last of them; where the case failed, the one that failed. */
  readonly last?: Step
  readonly milliseconds: number
}
