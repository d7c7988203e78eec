import { OperatorError } from "../../adapters/contract/index.js";
/** The `OperatorError` that `call` rejects with; fails the test if it resolves or rejects with anything else. */
export async function operatorError(call) {
    const outcome = await call.then(() => 'a result', (error) => error);
    if (outcome instanceof OperatorError)
        return outcome;
    throw new Error(`settled with ${String(outcome)} and not with an OperatorError`);
}
