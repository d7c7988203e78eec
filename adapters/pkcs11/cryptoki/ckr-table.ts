import type { AdapterErrorCode } from '../../contract/index.ts'
import { hex } from './numbers.ts'

/**
 * What happens to the session and its host process after an error.
 *
 * | effect | meaning |
 * |---|---|
 * | `keep` | the session is as good as before |
 * | `reopen` | a new session is opened, handles are looked up again, and the call is tried once more |
 * | `restart` | the module is started again in a new process; the call fails |
 * | `ask` | the token must use the key (docs/adr/0008): if it can, `keep`, and the call is tried once more; if not, `restart` |
 * | `login-refused` | there is no further login until an operator has acted: one more attempt might lock the PIN |
 */
export type SessionEffect = 'keep' | 'reopen' | 'restart' | 'ask' | 'login-refused'

export interface CkrRow {
  readonly name: string
  readonly error: AdapterErrorCode
  readonly session: SessionEffect
  /** What the error means when a ciphertext was being unwrapped (under `ask`: and the key can be used). */
  readonly unwrapError?: AdapterErrorCode
}

const row = (
  name: string,
  error: AdapterErrorCode,
  session: SessionEffect,
  unwrapError?: AdapterErrorCode,
): CkrRow => ({ name, error, session, ...(unwrapError && { unwrapError }) })

const ciphertext = 'CIPHERTEXT_INVALID'

/** PKCS#11 3.1 §6.1.6 and the quirks in docs/pkcs11.md. No other place interprets an error code. */
const rows: ReadonlyMap<number, CkrRow> = new Map([
  [0x001, row('CKR_CANCEL', 'BACKEND_BUSY', 'reopen')],
  [0x002, row('CKR_HOST_MEMORY', 'BACKEND_BUSY', 'keep')],
  [0x003, row('CKR_SLOT_ID_INVALID', 'BACKEND_UNAVAILABLE', 'restart')],
  // SoftHSM answers this, and nShield FUNCTION_FAILED, for a ciphertext that does not unwrap.
  [0x005, row('CKR_GENERAL_ERROR', 'BACKEND_UNAVAILABLE', 'ask', ciphertext)],
  [0x006, row('CKR_FUNCTION_FAILED', 'BACKEND_UNAVAILABLE', 'ask', ciphertext)],
  // SoftHSM answers this for OAEP with any hash but SHA-1, NSS for some values that do not unwrap.
  [0x007, row('CKR_ARGUMENTS_BAD', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x009, row('CKR_NEED_TO_CREATE_THREADS', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x00a, row('CKR_CANT_LOCK', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x010, row('CKR_ATTRIBUTE_READ_ONLY', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x011, row('CKR_ATTRIBUTE_SENSITIVE', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x012, row('CKR_ATTRIBUTE_TYPE_INVALID', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x013, row('CKR_ATTRIBUTE_VALUE_INVALID', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x01b, row('CKR_ACTION_PROHIBITED', 'OPERATION_FORBIDDEN', 'keep')],
  [0x020, row('CKR_DATA_INVALID', 'INPUT_INVALID', 'keep', ciphertext)],
  [0x021, row('CKR_DATA_LEN_RANGE', 'INPUT_INVALID', 'keep', ciphertext)],
  // Kryoptic answers this for a damaged value.
  [0x030, row('CKR_DEVICE_ERROR', 'BACKEND_UNAVAILABLE', 'ask', ciphertext)],
  [0x031, row('CKR_DEVICE_MEMORY', 'BACKEND_BUSY', 'keep')],
  [0x032, row('CKR_DEVICE_REMOVED', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x040, row('CKR_ENCRYPTED_DATA_INVALID', ciphertext, 'keep')],
  [0x041, row('CKR_ENCRYPTED_DATA_LEN_RANGE', ciphertext, 'keep')],
  [0x042, row('CKR_AEAD_DECRYPT_FAILED', ciphertext, 'keep')],
  [0x050, row('CKR_FUNCTION_CANCELED', 'BACKEND_BUSY', 'reopen')],
  [0x054, row('CKR_FUNCTION_NOT_SUPPORTED', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x060, row('CKR_KEY_HANDLE_INVALID', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x062, row('CKR_KEY_SIZE_RANGE', 'INPUT_INVALID', 'keep', ciphertext)],
  [0x063, row('CKR_KEY_TYPE_INCONSISTENT', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x067, row('CKR_KEY_INDIGESTIBLE', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x068, row('CKR_KEY_FUNCTION_NOT_PERMITTED', 'OPERATION_FORBIDDEN', 'keep')],
  [0x069, row('CKR_KEY_NOT_WRAPPABLE', 'OPERATION_FORBIDDEN', 'keep')],
  [0x06a, row('CKR_KEY_UNEXTRACTABLE', 'OPERATION_FORBIDDEN', 'keep')],
  [0x070, row('CKR_MECHANISM_INVALID', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x071, row('CKR_MECHANISM_PARAM_INVALID', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x082, row('CKR_OBJECT_HANDLE_INVALID', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x090, row('CKR_OPERATION_ACTIVE', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x091, row('CKR_OPERATION_NOT_INITIALIZED', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x0a0, row('CKR_PIN_INCORRECT', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x0a1, row('CKR_PIN_INVALID', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x0a2, row('CKR_PIN_LEN_RANGE', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x0a3, row('CKR_PIN_EXPIRED', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x0a4, row('CKR_PIN_LOCKED', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x0b0, row('CKR_SESSION_CLOSED', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x0b1, row('CKR_SESSION_COUNT', 'BACKEND_BUSY', 'keep')],
  [0x0b3, row('CKR_SESSION_HANDLE_INVALID', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x0b5, row('CKR_SESSION_READ_ONLY', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x0d0, row('CKR_TEMPLATE_INCOMPLETE', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x0d1, row('CKR_TEMPLATE_INCONSISTENT', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x0e0, row('CKR_TOKEN_NOT_PRESENT', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x0e1, row('CKR_TOKEN_NOT_RECOGNIZED', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x0e2, row('CKR_TOKEN_WRITE_PROTECTED', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x0f0, row('CKR_UNWRAPPING_KEY_HANDLE_INVALID', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x0f1, row('CKR_UNWRAPPING_KEY_SIZE_RANGE', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x0f2, row('CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x101, row('CKR_USER_NOT_LOGGED_IN', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x102, row('CKR_USER_PIN_NOT_INITIALIZED', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x103, row('CKR_USER_TYPE_INVALID', 'BACKEND_UNAVAILABLE', 'login-refused')],
  [0x110, row('CKR_WRAPPED_KEY_INVALID', ciphertext, 'keep')],
  [0x112, row('CKR_WRAPPED_KEY_LEN_RANGE', ciphertext, 'keep')],
  [0x113, row('CKR_WRAPPING_KEY_HANDLE_INVALID', 'BACKEND_UNAVAILABLE', 'reopen')],
  [0x114, row('CKR_WRAPPING_KEY_SIZE_RANGE', 'ALGORITHM_UNSUPPORTED', 'keep')],
  [0x115, row('CKR_WRAPPING_KEY_TYPE_INCONSISTENT', 'ALGORITHM_UNSUPPORTED', 'keep')],
  // The buffers are larger than any right result. The operation is still active, and its result is not wanted.
  [0x150, row('CKR_BUFFER_TOO_SMALL', 'BACKEND_UNAVAILABLE', 'reopen', ciphertext)],
  [0x190, row('CKR_CRYPTOKI_NOT_INITIALIZED', 'BACKEND_UNAVAILABLE', 'restart')],
  [0x200, row('CKR_FUNCTION_REJECTED', 'BACKEND_BUSY', 'keep')],
  // Kryoptic says this while another process has its database.
  [0x201, row('CKR_TOKEN_RESOURCE_EXCEEDED', 'BACKEND_BUSY', 'keep')],
  [0x203, row('CKR_KEY_EXHAUSTED', 'OPERATION_FORBIDDEN', 'keep')],
])

/**
 * The code says that the token cannot do what was asked. In a way that was found to be right that needs evidence, as
 * under `ask`.
 */
export const contradictsWay = (ckr: number): boolean => ckrRow(ckr).error === 'ALGORITHM_UNSUPPORTED'

/**
 * The row of a `CK_RV`. A code that no version of the standard defines is the vendor's and means only that the call
 * failed.
 */
export const ckrRow = (ckr: number): CkrRow => rows.get(ckr) ?? row('CKR', 'BACKEND_UNAVAILABLE', 'ask', ciphertext)

/** For people: `CKR_DEVICE_ERROR (0x30)`. */
export const ckrName = (ckr: number): string => `${ckrRow(ckr).name} (${hex(ckr)})`
