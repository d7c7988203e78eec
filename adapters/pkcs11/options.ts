import { availableParallelism } from 'node:os'
import { OperatorError, type Secret, type WrapAlgorithm } from '../contract/index.ts'
import type { TokenSelector } from './host-protocol.ts'

/** Where the HSM is and how it is used. */
export interface Pkcs11Options {
  /** Path of the vendor's PKCS#11 library. */
  readonly module: string
  /** Handed to C_Initialize as `pReserved`, which NSS needs: `configdir='sql:/etc/nss'`. Not a place for a secret. */
  readonly libraryParameters?: string
  /** All that is given must match. `slot` is decimal or `0x` hexadecimal, as text where it exceeds 2^53. */
  readonly token: { readonly label?: string; readonly serial?: string; readonly slot?: string | bigint }
  /** The user's PIN; absent for a token with a PIN pad of its own. On AWS CloudHSM it is `user:password`. */
  readonly pin?: Secret
  /**
   * Calls that the HSM is given at a time: so many processes with a session each. 1 to 64; by default one per core, at
   * least 2, at most 4, and never more than the token's ulMaxSessionCount.
   */
  readonly sessions?: number
  /** Refuse keys that are not CKA_SENSITIVE, or that are CKA_EXTRACTABLE, instead of only warning. */
  readonly requireSensitive?: boolean
  /** For a token whose mechanisms pass the checks and should still not be used, or the other way round. By number. */
  readonly mechanisms?: {
    readonly pin?: Readonly<Partial<Record<WrapAlgorithm, number>>>
    readonly forbid?: readonly number[]
  }
  /**
   * A call that has not returned after so many milliseconds is taken to hang, and its process is replaced. 250 to
   * 60,000; by default 1,000. Raise it where the vendor's library fails over inside a call.
   */
  readonly callTimeoutMs?: number
}

const MAX_SESSIONS = 64
const DEFAULT_SESSIONS = { min: 2, max: 4 }
const DEFAULT_CALL_TIMEOUT_MS = 1000

const invalid = (message: string) => new OperatorError('PKCS11_OPTION_INVALID', message)

/** Throws an {@link OperatorError} for options that cannot be meant. */
export function checkOptions({ sessions, token, callTimeoutMs }: Pkcs11Options): void {
  if (sessions !== undefined && !isWithin(sessions, 1, MAX_SESSIONS)) {
    throw invalid(`sessions must be a whole number from 1 to ${MAX_SESSIONS}`)
  }
  if (callTimeoutMs !== undefined && !isWithin(callTimeoutMs, 250, 60_000)) {
    throw invalid('callTimeoutMs must be a whole number from 250 to 60000')
  }
  if (token.label === undefined && token.serial === undefined && token.slot === undefined) {
    throw invalid('token needs a label, a serial or a slot')
  }
}

const isWithin = (value: number, min: number, max: number) => Number.isInteger(value) && value >= min && value <= max

export function tokenSelector({ token }: Pkcs11Options): TokenSelector {
  const { label, serial, slot } = token
  return {
    ...(label !== undefined && { label }),
    ...(serial !== undefined && { serial }),
    ...(slot !== undefined && { slot: parseSlot(slot) }),
  }
}

function parseSlot(slot: string | bigint): bigint {
  if (typeof slot === 'bigint') return slot
  if (!/^(?:[0-9]{1,20}|0x[0-9A-Fa-f]{1,16})$/.test(slot)) {
    throw invalid('the slot is neither a decimal nor a 0x hexadecimal number')
  }
  return BigInt(slot)
}

/** How many sessions to use on a token that allows `maxSessions`, or does not say. */
export function sessionCount(options: Pkcs11Options, maxSessions: number | undefined): number {
  const wanted =
    options.sessions ?? Math.min(DEFAULT_SESSIONS.max, Math.max(DEFAULT_SESSIONS.min, availableParallelism()))
  return Math.max(1, Math.min(wanted, maxSessions ?? Infinity))
}

export const callTimeoutOf = (options: Pkcs11Options): number => options.callTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS
