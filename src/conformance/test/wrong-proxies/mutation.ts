import type { RunOptions } from '../../src/runner.ts'
import type { Pki } from '../pki.ts'
import type { Behaviour } from './behaviour.ts'

/** What is made anew for each run, because it remembers, or needs the certificates of the run. */
type Making = (pki: Pki) => Partial<Behaviour>

/** One thing that a proxy gets wrong. */
export interface Mutation {
  readonly name: string
  readonly change: Partial<Behaviour> | Making
  /** Exactly the cases that fail for it. */
  readonly caughtBy: readonly string[]
  /** What of the suite can be run against a proxy that is wrong in this way; all of it where it is absent. */
  readonly options?: Pick<RunOptions, 'only'>
}

export const mutation = (
  name: string,
  change: Mutation['change'],
  caughtBy: readonly string[],
  options?: Mutation['options'],
): Mutation => ({ name, change, caughtBy, ...(options && { options }) })
