import { deserialize, serialize } from 'node:v8';
import { AdapterError, OperatorError } from "../contract/index.js";
/** The token holds a date and cannot show it. */
export const UNREADABLE_DATE = 'unreadable';
/** For the rare messages; the frequent one, a wrap or unwrap, has an encoding of its own. */
export const encodeMessage = (message) => serialize(message);
/** Only for what came over the socket pair from the process at its other end. */
export const decodeMessage = (payload) => deserialize(payload);
export function encodeRefusal(error) {
    const message = error instanceof Error ? error.message : 'unknown';
    const refusal = error instanceof AdapterError
        ? { kind: 'adapter', code: error.code, message }
        : error instanceof OperatorError
            ? { kind: 'operator', code: error.code, message }
            : { kind: 'bug', code: error instanceof Error ? error.name : 'unknown', message };
    return encodeMessage(refusal);
}
export function decodeRefusal(payload) {
    const { kind, code, message } = decodeMessage(payload);
    if (kind === 'adapter')
        return new AdapterError(code, message);
    if (kind === 'operator')
        return new OperatorError(code, message);
    return new AdapterError('BACKEND_UNAVAILABLE', `the HSM host failed: ${code}: ${message}`);
}
