import { availableParallelism } from 'node:os';
import { OperatorError } from "../contract/index.js";
const MAX_SESSIONS = 64;
const DEFAULT_SESSIONS = { min: 2, max: 4 };
const DEFAULT_CALL_TIMEOUT_MS = 1000;
const invalid = (message) => new OperatorError('PKCS11_OPTION_INVALID', message);
/** Throws an {@link OperatorError} for options that cannot be meant. */
export function checkOptions({ sessions, token, callTimeoutMs }) {
    if (sessions !== undefined && !isWithin(sessions, 1, MAX_SESSIONS)) {
        throw invalid(`sessions must be a whole number from 1 to ${MAX_SESSIONS}`);
    }
    if (callTimeoutMs !== undefined && !isWithin(callTimeoutMs, 250, 60_000)) {
        throw invalid('callTimeoutMs must be a whole number from 250 to 60000');
    }
    if (token.label === undefined && token.serial === undefined && token.slot === undefined) {
        throw invalid('token needs a label, a serial or a slot');
    }
}
const isWithin = (value, min, max) => Number.isInteger(value) && value >= min && value <= max;
export function tokenSelector({ token }) {
    const { label, serial, slot } = token;
    return {
        ...(label !== undefined && { label }),
        ...(serial !== undefined && { serial }),
        ...(slot !== undefined && { slot: parseSlot(slot) }),
    };
}
function parseSlot(slot) {
    if (typeof slot === 'bigint')
        return slot;
    if (!/^(?:[0-9]{1,20}|0x[0-9A-Fa-f]{1,16})$/.test(slot)) {
        throw invalid('the slot is neither a decimal nor a 0x hexadecimal number');
    }
    return BigInt(slot);
}
/** How many sessions to use on a token that allows `maxSessions`, or does not say. */
export function sessionCount(options, maxSessions) {
    const wanted = options.sessions ?? Math.min(DEFAULT_SESSIONS.max, Math.max(DEFAULT_SESSIONS.min, availableParallelism()));
    return Math.max(1, Math.min(wanted, maxSessions ?? Infinity));
}
export const callTimeoutOf = (options) => options.callTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS;
