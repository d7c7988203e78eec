import { OperatorError } from '../../contract/index.ts'
import { ckrRow } from '../cryptoki/ckr-table.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { remedyFor } from './remedy.ts'

/**
 * Whether another attempt to open the token may do better. A module that hangs or crashes does so again, after a long
 * time.
 */
export const mayPass = (error: unknown): boolean =>
  error instanceof OperatorError
    ? error.code === 'TOKEN_NOT_FOUND'
    : error instanceof TokenError && error.detail !== undefined

/**
 * Whether the token, or what the module needs to reach it, is missing or sick. A module that hangs or crashes may miss
 * something.
 */
const isAway = (error: unknown): boolean =>
  error instanceof TokenError &&
  (error.detail === undefined || ['BACKEND_UNAVAILABLE', 'BACKEND_BUSY'].includes(ckrRow(error.detail).error))

/** What the operator is told of a token that cannot be opened. `module` is the path of the vendor's library. */
export function openFailure(error: unknown, module: string, isLoginRefused: boolean): OperatorError {
  if (error instanceof OperatorError) return error
  const message = error instanceof Error ? error.message : 'unknown'
  if (isLoginRefused) return new OperatorError('LOGIN_REFUSED', `${message}: check the PIN before another attempt`)
  const answered = error instanceof TokenError && error.detail !== undefined
  const remedy = answered ? `; ${remedyFor(module)}` : ''
  const reason = `the token cannot be opened: ${message}${remedy}`
  return new OperatorError('TOKEN_UNUSABLE', reason, { transient: isAway(error) })
}
