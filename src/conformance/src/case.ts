import type { Outcome, Step } from './outcome.ts'
import type { Probe } from './probe.ts'

/**
 * `must`: the reference requires it, and a proxy that fails it is not conformant. `should`: it is reported, but decides
 * nothing.
 */
export type Severity = 'must' | 'should'

/** What a case may need, and the option that supplies it. */
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
 * When a case runs. `calls`: together with others. `measurement`: alone, so that nothing disturbs the clock.
 * `afterwards`: it sends nothing, and judges all replies to the other cases.
 */
export type Phase = 'calls' | 'measurement' | 'afterwards'

/** One rule of the EKM Proxy API, and how to find out whether a proxy keeps it. */
export interface Case {
  /** Stable: `group.rule`. */
  readonly id: string
  /** The rule's source: a heading of the EKM Proxy API 0.1-preview, or another document's clause. */
  readonly clause: string
  readonly severity: Severity
  /** What is true of a proxy that keeps the rule. */
  readonly title: string
  readonly needs?: readonly Need[]
  readonly phase?: Phase
  /**
   * @throws Unmet if the proxy breaks the rule
   * @throws NotApplicable if this run cannot decide it
   */
  readonly run: (probe: Probe) => Promise<void> | void
}

export interface CaseResult {
  readonly id: string
  readonly clause: string
  readonly severity: Severity
  readonly title: string
  readonly outcome: Outcome
  /** Why the case was not run. */
  readonly reason?: string
  /** The number of checks that were made. */
  readonly checks: number
  /** The last check. If the case failed, the one that failed. */
  readonly last?: Step
  readonly milliseconds: number
}
