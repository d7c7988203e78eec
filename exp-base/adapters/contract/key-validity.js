import { OperatorError } from "./errors.js";
/** Throws an OperatorError with `KEY_DATES_INVALID` for dates that are none, before 1970, or the wrong way round. */
export function assertValidity({ notBefore, expires }) {
    for (const date of [notBefore, expires]) {
        // An invalid date is NaN, which is not >= 0 either.
        if (date !== undefined && !(date.getTime() >= 0)) {
            throw new OperatorError('KEY_DATES_INVALID', 'a date of the key is not a date, or is before 1970');
        }
    }
    if (notBefore && expires && notBefore >= expires) {
        throw new OperatorError('KEY_DATES_INVALID', 'the key would expire before it becomes active');
    }
}
