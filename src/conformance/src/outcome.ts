/** One thing that was sent, what the rule expects, and what came back. Values are masked. */
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

/** The case could not be decided here; `message` says why. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable'
}

/** The suite cannot run at all: unreachable, a file that cannot be read, a client that is not let in. */
export class CouldNotRun extends Error {
  override readonly name = 'CouldNotRun'
}

export type Outcome = 'passed' | 'failed' | 'not run'
