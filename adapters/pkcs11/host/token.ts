import { asBuffer, OperatorError } from '../../contract/index.ts'
import type { Handle, PKCS11 } from 'pkcs11js'
import { CKF, CKR, CKS, CKU_USER } from '../cryptoki/numbers.ts'
import type { OpenMessage, TokenFacts } from '../wire/host-protocol.ts'
import { remedyFor } from '../supervisor/remedy.ts'
import { ckrError, isCkrError, tolerate } from './ckr.ts'
import { loadLibrary, presentTokens, slotNumber, unpadded, type PresentToken } from './library.ts'

/**
 * pkcs11js returns the low 32 bits of a 64-bit number. CK_EFFECTIVELY_INFINITE is 0, CK_UNAVAILABLE_INFORMATION is 2^64
 * - 1, and some tokens return 2^64 - 2. No token has as many sessions as these values read.
 */
const MOST_SESSIONS = 0x7fffffff

/** Milliseconds; well below the shortest `callTimeoutMs`. */
const ALIVE_MS = 50

/** One module, one token and one session: all that a host has. */
export class Token {
  readonly #module: PKCS11
  readonly #slot: Handle
  readonly #serial: string
  readonly #sessionFlags: number
  #session: Handle | undefined
  /** CK_STATE after the login. */
  #state: number | undefined
  #aliveAt = 0
  /** Called from time to time while a request makes many calls of the module. */
  onAlive: () => void = () => undefined

  private constructor(module: PKCS11, slot: Handle, serial: string, sessionFlags: number) {
    this.#module = module
    this.#slot = slot
    this.#serial = serial
    this.#sessionFlags = sessionFlags
  }

  static async open(message: OpenMessage): Promise<Token> {
    const module = await loadLibrary(message)
    const { slot, info } = findToken(module, message)
    const flags = CKF.SERIAL_SESSION | (message.readWrite ? CKF.RW_SESSION : 0)
    const token = new Token(module, slot, info.serialNumber, flags)
    token.reopen(message.pin)
    return token
  }

  get module(): PKCS11 {
    return this.#module
  }

  get session(): Handle {
    if (this.#session === undefined) throw new Error('no session')
    return this.#session
  }

  get slot(): Handle {
    return this.#slot
  }

  /** Call it after each module call of a request that makes many. */
  alive(): void {
    const now = performance.now()
    if (now - this.#aliveAt < ALIVE_MS) return
    this.#aliveAt = now
    this.onAlive()
  }

  /** Opens a new session and logs in. It zeroes `pin`. A former session is closed in any case. */
  reopen(pin: Uint8Array | undefined): void {
    try {
      const old = this.#session
      this.#session = undefined
      if (old !== undefined) closeQuietly(this.#module, old)
      // Another token must not get the PIN, and a few wrong ones would lock it.
      this.#assertSame()
      this.#session = this.#module.C_OpenSession(this.#slot, this.#sessionFlags)
      const state = this.#module.C_GetSessionInfo(this.#session).state
      this.#state = state
      if (state === CKS.RO_USER_FUNCTIONS || state === CKS.RW_USER_FUNCTIONS) return
      // pkcs11js accepts a PIN only as a string, which cannot be zeroed. The string exists in this process alone.
      const text = pin && asBuffer(pin).toString('utf8')
      const session = this.#session
      tolerate([CKR.USER_ALREADY_LOGGED_IN], () => this.#module.C_Login(session, CKU_USER, text))
      this.#state = this.#module.C_GetSessionInfo(session).state
    } finally {
      pin?.fill(0)
    }
  }

  /** Throws unless the token is present and is the one that was opened, and the session is valid and logged in. */
  probe(): void {
    this.#module.C_GetSessionInfo(this.session)
    this.#assertSame()
  }

  #assertSame(): void {
    if (this.#module.C_GetTokenInfo(this.#slot).serialNumber !== this.#serial) throw new TokenReplaced()
  }

  /** Like {@link probe}. Throws also if the login is lost, which would hide private keys. */
  assertSession(): void {
    this.probe()
    if (this.#module.C_GetSessionInfo(this.session).state === this.#state) return
    throw ckrError('CKR_USER_NOT_LOGGED_IN', CKR.USER_NOT_LOGGED_IN)
  }

  facts(): TokenFacts {
    const info = this.#module.C_GetTokenInfo(this.#slot)
    const library = this.#module.C_GetInfo()
    const max = info.maxSessionCount
    const firmware = version(info.firmwareVersion)
    return {
      label: unpadded(info.label),
      serial: unpadded(info.serialNumber),
      manufacturer: unpadded(info.manufacturerID),
      model: unpadded(info.model),
      ...(firmware !== undefined && { firmware }),
      slot: slotNumber(this.#slot),
      library: [unpadded(library.libraryDescription), version(library.libraryVersion)].filter(Boolean).join(' '),
      ...(max > 0 && max <= MOST_SESSIONS && { maxSessions: max }),
      mechanisms: mechanisms(this.#module, this.#slot),
    }
  }
}

/** Another token is in the slot: it was initialised again or exchanged. */
export class TokenReplaced extends Error {
  override readonly name = 'TokenReplaced'
}

/** Undefined if the token states no version. */
const version = ({ major, minor }: { major: number; minor: number }): string | undefined =>
  major === 0 && minor === 0 ? undefined : `${major}.${minor}`

function findToken(module: PKCS11, { token: wanted, module: path }: OpenMessage): PresentToken {
  const present = presentTokens(module)
  const initialised = present.filter(({ info }) => (info.flags & CKF.TOKEN_INITIALIZED) !== 0)
  const matching = initialised.filter(
    ({ slot, info }) =>
      (wanted.label === undefined || unpadded(info.label) === wanted.label) &&
      (wanted.serial === undefined || unpadded(info.serialNumber) === wanted.serial) &&
      (wanted.slot === undefined || slotNumber(slot) === wanted.slot),
  )
  const [only] = matching
  if (only !== undefined && matching.length === 1) return only
  const names = (tokens: typeof initialised) =>
    tokens
      .map(
        ({ slot, info }) =>
          `"${unpadded(info.label)}" (serial ${unpadded(info.serialNumber)}, slot ${slotNumber(slot)})`,
      )
      .join(', ')
  if (matching.length > 1) {
    throw new OperatorError(
      'TOKEN_AMBIGUOUS',
      `more than one token matches: ${names(matching)}; name one by its serial`,
    )
  }
  // SoftHSM shows a token that is not initialised in each of its directories, also in one that is not meant.
  const nothing = present.length === 0 ? 'no token at all' : 'only tokens that are not initialised'
  const seen = `the module shows ${initialised.length === 0 ? `${nothing}; ${remedyFor(path)}` : names(initialised)}`
  // Many modules do not show a token that they cannot reach. So a missing token and a misspelt name look the same.
  const message = `no initialised token matches the configuration: ${seen}`
  throw new OperatorError('TOKEN_NOT_FOUND', message, { transient: true })
}

function mechanisms(module: PKCS11, slot: Handle): number[] {
  try {
    return module.C_GetMechanismList(slot)
  } catch (error) {
    if (isCkrError(error)) return []
    throw error
  }
}

function closeQuietly(module: PKCS11, session: Handle): void {
  try {
    module.C_CloseSession(session)
  } catch (error) {
    if (!isCkrError(error)) throw error
  }
}
