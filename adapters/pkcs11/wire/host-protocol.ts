import { deserialize, serialize } from 'node:v8'
import { AdapterError, asBuffer, OperatorError, type AdapterErrorCode } from '../../contract/index.ts'

/** Names a token. Without any of the three members: the only token that is there. */
export interface TokenSelector {
  readonly label?: string
  readonly serial?: string
  readonly slot?: bigint
}

export interface LibraryMessage {
  /** The specifier by which pkcs11js is imported. */
  readonly binding: string
  readonly module: string
  readonly libraryParameters?: string
}

export interface OpenMessage extends LibraryMessage {
  readonly token: TokenSelector
  /** Undefined if the token asks for the PIN itself (CKF_PROTECTED_AUTHENTICATION_PATH). Whoever used it zeroes it. */
  readonly pin?: Uint8Array
  readonly readWrite: boolean
}

/** A key to look for, and what shows whether a token without it can be trusted. */
export interface FindMessage {
  readonly selector: string
  /** Selectors of other keys that the token has shown. */
  readonly beside: readonly string[]
  /** Milliseconds since any host last saw any key. Undefined if none ever did. */
  readonly seenAgoMs?: number
}

export interface ReopenMessage {
  readonly pin?: Uint8Array
}

/** What an open token reports of itself, without padding. A version of 0.0 means none and is undefined. */
export interface TokenFacts {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly firmware?: string
  readonly slot: bigint
  readonly library: string
  /** ulMaxSessionCount. Undefined if the token has no limit or does not state it. */
  readonly maxSessions?: number
  /** Empty if the token refuses to list them. */
  readonly mechanisms: readonly number[]
}

/** A token that the library shows, and what it says of the user's PIN, before any login. */
export interface TokenSeen {
  readonly label: string
  readonly serial: string
  readonly model: string
  readonly slot: bigint
  readonly initialised: boolean
  /** It asks for the PIN itself (CKF_PROTECTED_AUTHENTICATION_PATH). */
  readonly pinPad: boolean
  /** `count low`: a wrong PIN was tried since the last login. `final try`: the next wrong one locks it. */
  readonly pin: 'set' | 'not set' | 'count low' | 'final try' | 'locked'
}

export interface MemoryFacts {
  /** The host's resident memory outside V8's heap. */
  readonly nativeBytes: number
}

/** The token has a date that it cannot show. */
export const UNREADABLE_DATE = 'unreadable'

/** Attributes of a key object. An attribute that the token does not show is undefined. Key values are never read. */
export interface KeyFacts {
  readonly class: 'secret' | 'private'
  readonly keyType: number
  readonly label: string
  readonly id: string
  /** CKA_VALUE_LEN, in bytes. */
  readonly valueLen?: number
  readonly n?: Uint8Array
  readonly e?: Uint8Array
  readonly encrypt?: boolean
  readonly decrypt?: boolean
  readonly wrap?: boolean
  readonly unwrap?: boolean
  readonly sensitive?: boolean
  readonly extractable?: boolean
  readonly alwaysAuthenticate?: boolean
  /** The CK_DATE as stored, YYYYMMDD, or {@link UNREADABLE_DATE}. */
  readonly startDate?: string
  readonly endDate?: string
  /** Whether the public half may be used to wrap. Undefined for a secret key, and without a public object. */
  readonly publicUse?: boolean
}

export interface CreateMessage {
  readonly label: string
  readonly kty: 'oct' | 'RSA'
  readonly bits: number
  readonly startDate?: string
  readonly endDate?: string
}

/** A refusal by the host itself. */
interface RefusalMessage {
  readonly kind: 'adapter' | 'operator' | 'bug'
  readonly code: string
  readonly message: string
  readonly transient?: boolean
}

/** For the rare messages. The frequent ones, wrap and unwrap, have their own encoding. */
export const encodeMessage = (message: object): Buffer => serialize(message)

/** Use it only for bytes from the process at the other end of the socket pair. */
export const decodeMessage = <Message>(payload: Uint8Array): Message => deserialize(payload) as Message

export function encodeRefusal(error: unknown): Buffer {
  const message = error instanceof Error ? error.message : 'unknown'
  const refusal: RefusalMessage =
    error instanceof AdapterError
      ? { kind: 'adapter', code: error.code, message }
      : error instanceof OperatorError
        ? { kind: 'operator', code: error.code, message, transient: error.transient }
        : { kind: 'bug', code: error instanceof Error ? error.name : 'unknown', message }
  return encodeMessage(refusal)
}

/** A `CK_RV`, and the function of the module that returned it. */
export interface Failure {
  readonly ckr: number
  readonly at: string
}

// ckr u32 | name of the function
export function encodeFailure(ckr: number, at: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(at))
  bytes.writeUInt32LE(ckr)
  bytes.write(at, 4)
  return bytes
}

export function decodeFailure(payload: Uint8Array): Failure {
  const bytes = asBuffer(payload)
  return { ckr: bytes.readUInt32LE(0), at: bytes.toString('utf8', 4) }
}

export function decodeRefusal(payload: Uint8Array): AdapterError | OperatorError {
  const { kind, code, message, transient = false } = decodeMessage<RefusalMessage>(payload)
  if (kind === 'adapter') return new AdapterError(code as AdapterErrorCode, message)
  if (kind === 'operator') return new OperatorError(code, message, { transient })
  return new AdapterError('BACKEND_UNAVAILABLE', `the HSM host failed: ${code}: ${message}`)
}
