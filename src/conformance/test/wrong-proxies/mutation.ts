import type { RunOptions } from '../../src/runner.ts'
import type { Pki } from '../pki.ts'
import type { Behaviour } from './behaviour.ts'

/** A factory, since some behaviours keep state or need the run's certificates. */
type Making = (pki: Pki) => Partial<Behaviour>

/** One rule that a proxy breaks. */
export interface Mutation {
  readonly name: string
  readonly change: Partial<Behaviour> | Making
  /** Exactly the cases that fail for this proxy. */
  readonly caughtBy: readonly string[]
  /** The cases that can run against this proxy; all if absent. */
  readonly options?: Pick<RunOptions, 'only'>
}

export const mutation = (
  name: string,
  change: Mutation['change'],
  caughtBy: readonly string[],
  options?: Mutation['options'],
): Mutation => ({ name, change, caughtBy, ...(options && { options }) })
