/** A request, what the rule expects, and what came back. Values are masked. */
export interface Step {
  readonly sent: string
  readonly expected: string
  readonly came: string
}

/** The proxy did not do what the rule expects. */
export class Unmet extends Error {
  override readonly name = 'Unmet'
  readonly step: Step

  constructor(step: Step) {
    super(`${step.sent}: expected ${step.expected}, came ${step.came}`)
    this.step = step
  }
}

/** This run could not decide the case. `message` says why. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable'
}

/** The suite cannot run at all: the proxy is unreachable, a file cannot be read, or the client is refused. */
export class CouldNotRun extends Error {
  override readonly name = 'CouldNotRun'
}

export type Outcome = 'passed' | 'failed' | 'not run'
