import { OperatorError } from '../../adapters/contract/index.ts'

/** The `OperatorError` that `call` rejects with; fails the test if it resolves or rejects with anything else. */
export async function operatorError(call: Promise<unknown>): Promise<OperatorError> {
  const outcome = await call.then(
    () => 'a result',
    (error: unknown) => error,
  )
  if (outcome instanceof OperatorError) return outcome
  throw new Error(`settled with ${String(outcome)} and not with an OperatorError`)
}
