import { availableParallelism } from 'node:os'
import { OperatorError, type Secret, type WrapAlgorithm } from '../contract/index.ts'
import type { TokenSelector } from './wire/host-protocol.ts'

/** Where the HSM is, and how to use it. */
export interface Pkcs11Options {
  /** Path of the vendor's PKCS#11 library. */
  readonly module: string
  /**
   * Passed to C_Initialize as `pReserved`, which NSS needs: `configdir='sql:/etc/nss'`. It must not contain a secret.
   */
  readonly libraryParameters?: string
  /** Every given member must match. `slot` is decimal or `0x` hexadecimal, as text if it exceeds 2^53. */
  readonly token: { readonly label?: string; readonly serial?: string; readonly slot?: string | bigint }
  /** The user's PIN. Undefined for a token with its own PIN pad. On AWS CloudHSM it is `user:password`. */
  readonly pin?: Secret
  /**
   * How many calls the HSM gets at a time, 1 to 64. Each runs in a process with one session. By default one per core,
   * at least 2, at most 4, and never more than the token's ulMaxSessionCount.
   */
  readonly sessions?: number
  /** Whether to refuse keys that are CKA_EXTRACTABLE or not CKA_SENSITIVE. By default there is only a warning. */
  readonly requireSensitive?: boolean
  /** Mechanisms, by number, of which only one is used for an algorithm, or that are not used. */
  readonly mechanisms?: {
    readonly pin?: Readonly<Partial<Record<WrapAlgorithm, number>>>
    readonly forbid?: readonly number[]
  }
  /**
   * Milliseconds after which a call that has not returned counts as hung, and its process is replaced: 250 to 60,000,
   * by default 1,000. Raise it if the vendor's library fails over inside a call.
   */
  readonly callTimeoutMs?: number
}

const MAX_SESSIONS = 64
const DEFAULT_SESSIONS = { min: 2, max: 4 }
const DEFAULT_CALL_TIMEOUT_MS = 1000

const invalid = (message: string) => new OperatorError('PKCS11_OPTION_INVALID', message)

/** @throws OperatorError for impossible options */
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

/** How many sessions to use with a token that allows `maxSessions`. Undefined: the token states no limit. */
export function sessionCount(options: Pick<Pkcs11Options, 'sessions'>, maxSessions: number | undefined): number {
  const wanted =
    options.sessions ?? Math.min(DEFAULT_SESSIONS.max, Math.max(DEFAULT_SESSIONS.min, availableParallelism()))
  return Math.max(1, Math.min(wanted, maxSessions ?? Infinity))
}

export const callTimeoutOf = (options: Pkcs11Options): number => options.callTimeoutMs ?? DEFAULT_CALL_TIMEOUT_MS
