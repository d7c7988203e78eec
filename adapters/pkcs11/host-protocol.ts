import { deserialize, serialize } from 'node:v8'
import { AdapterError, asBuffer, OperatorError, type AdapterErrorCode } from '../contract/index.ts'

/** Which token is meant; with none of the three, the only one that is there. */
export interface TokenSelector {
  readonly label?: string
  readonly serial?: string
  readonly slot?: bigint
}

export interface OpenMessage {
  /** The name under which pkcs11js is imported. */
  readonly binding: string
  readonly module: string
  readonly libraryParameters?: string
  readonly token: TokenSelector
  /** Absent where the token asks for it itself (CKF_PROTECTED_AUTHENTICATION_PATH). Zeroed by whoever used it. */
  readonly pin?: Uint8Array
  readonly readWrite: boolean
}

/** What is looked for, and what says whether a token without it is to be believed. */
export interface FindMessage {
  readonly selector: string
  /** Some of the other keys that the token has shown. */
  readonly beside: readonly string[]
  /** When any host last saw any key; absent where none ever did. */
  readonly seenAgoMs?: number
}

export interface ReopenMessage {
  readonly pin?: Uint8Array
}

/** What an open token says of itself, blanks stripped. A version of 0.0 says nothing, and is absent. */
export interface TokenFacts {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
  readonly firmware?: string
  readonly slot: bigint
  readonly library: string
  /** ulMaxSessionCount; absent where the token knows no limit or does not say. */
  readonly maxSessions?: number
  /** Empty where the token refuses to say. */
  readonly mechanisms: readonly number[]
}

export interface MemoryFacts {
  /** Resident memory of the host that is not V8's heap. */
  readonly nativeBytes: number
}

/** The token holds a date and cannot show it. */
export const UNREADABLE_DATE = 'unreadable'

/** Attributes of a key object; an attribute that the token does not give is absent. Key values are never read. */
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
  /** CK_DATE as it stands there, YYYYMMDD, or {@link UNREADABLE_DATE}. */
  readonly startDate?: string
  readonly endDate?: string
  /** Whether the public half allows what a wrap does; absent for a secret key, and where there is no public object. */
  readonly publicUse?: boolean
}

export interface CreateMessage {
  readonly label: string
  readonly kty: 'oct' | 'RSA'
  readonly bits: number
  readonly startDate?: string
  readonly endDate?: string
}

/** A refusal of the host's own making. */
interface RefusalMessage {
  readonly kind: 'adapter' | 'operator' | 'bug'
  readonly code: string
  readonly message: string
  readonly transient?: boolean
}

/** For the rare messages; the frequent one, a wrap or unwrap, has an encoding of its own. */
export const encodeMessage = (message: object): Buffer => serialize(message)

/** Only for what came over the socket pair from the process at its other end. */
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

/** A `CK_RV`, and the function of the module that answered with it. */
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
