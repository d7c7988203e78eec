import { OperatorError } from './errors.ts'

/** How long an operator's key may be used: not before `notBefore`, and before `expires`. */
export interface KeyValidity {
  readonly notBefore?: Date
  readonly expires?: Date
}

/** @throws OperatorError `KEY_DATES_INVALID` for an invalid date, a date before 1970, or an end before the beginning */
export function assertValidity({ notBefore, expires }: KeyValidity): void {
  for (const date of [notBefore, expires]) {
    // An invalid date is NaN, and NaN >= 0 is false.
    if (date !== undefined && !(date.getTime() >= 0)) {
      throw new OperatorError('KEY_DATES_INVALID', 'a date of the key is not valid, or is before 1970')
    }
  }
  if (notBefore && expires && notBefore >= expires) {
    throw new OperatorError('KEY_DATES_INVALID', 'the key would expire before it becomes active')
  }
}
