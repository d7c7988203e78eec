import { OperatorError } from '../../adapters/contract/index.ts'

/** The `OperatorError` with which `call` rejects. Any other result fails the test. */
export async function operatorError(call: Promise<unknown>): Promise<OperatorError> {
  const outcome = await call.then(
    () => 'a result',
    (error: unknown) => error,
  )
  if (outcome instanceof OperatorError) return outcome
  throw new Error(`settled with ${String(outcome)} and not with an OperatorError`)
}
