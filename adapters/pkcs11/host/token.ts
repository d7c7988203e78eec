import { asBuffer, OperatorError } from '../../contract/index.ts'
import type { Handle, PKCS11, TokenInfo } from 'pkcs11js'
import { CKF, CKR, CKS, CKU_USER } from '../cryptoki.ts'
import type { OpenMessage, TokenFacts } from '../host-protocol.ts'
import { remedyFor } from '../remedy.ts'
import { ckrError, isCkrError, tolerate } from './ckr.ts'

/**
 * pkcs11js hands on the low 32 bits of a number of 64. CK_EFFECTIVELY_INFINITE is 0, CK_UNAVAILABLE_INFORMATION is 2^64 - 1,
 * and some tokens say 2^64 - 2: no token has so many sessions as any of them reads.
 */
const MOST_SESSIONS = 0x7fffffff

/** Well below the shortest `callTimeoutMs`. */
const ALIVE_MS = 50

/** One module, one token of it, one session: all that a host process has. */
export class Token {
  readonly #module: PKCS11
  readonly #slot: Handle
  readonly #serial: string
  readonly #sessionFlags: number
  #session: Handle | undefined
  /** CK_STATE after the login. */
  #state: number | undefined
  #aliveAt = 0
  /** Told now and then while a request makes many calls of the module. */
  onAlive: () => void = () => undefined

  private constructor(module: PKCS11, slot: Handle, serial: string, sessionFlags: number) {
    this.#module = module
    this.#slot = slot
    this.#serial = serial
    this.#sessionFlags = sessionFlags
  }

  static async open(message: OpenMessage): Promise<Token> {
    const module = await load(message)
    const parameters = message.libraryParameters
    tolerate([CKR.CRYPTOKI_ALREADY_INITIALIZED], () =>
      module.C_Initialize({
        flags: CKF.OS_LOCKING_OK,
        // pkcs11js 2.1.7 leaves no room for the NUL that ends a string in C, and cuts the last byte off for it.
        ...(parameters !== undefined && { libraryParameters: `${parameters}\0` }),
      }),
    )
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

  /** To be called after each call of a request that makes many. */
  alive(): void {
    const now = performance.now()
    if (now - this.#aliveAt < ALIVE_MS) return
    this.#aliveAt = now
    this.onAlive()
  }

  /** A fresh session, logged in; `pin` is zeroed. The session before it, if any, is gone whatever happens. */
  reopen(pin: Uint8Array | undefined): void {
    try {
      const old = this.#session
      this.#session = undefined
      if (old !== undefined) closeQuietly(this.#module, old)
      this.#session = this.#module.C_OpenSession(this.#slot, this.#sessionFlags)
      const state = this.#module.C_GetSessionInfo(this.#session).state
      this.#state = state
      if (state === CKS.RO_USER_FUNCTIONS || state === CKS.RW_USER_FUNCTIONS) return
      // pkcs11js takes a PIN only as a string, which cannot be wiped; it lives in this process alone.
      const text = pin && asBuffer(pin).toString('utf8')
      const session = this.#session
      tolerate([CKR.USER_ALREADY_LOGGED_IN], () => this.#module.C_Login(session, CKU_USER, text))
      this.#state = this.#module.C_GetSessionInfo(session).state
    } finally {
      pin?.fill(0)
    }
  }

  /** Throws unless the token is there, is the one that was opened, and the session is alive and logged in. */
  probe(): void {
    this.#module.C_GetSessionInfo(this.session)
    const info = this.#module.C_GetTokenInfo(this.#slot)
    if (info.serialNumber !== this.#serial) throw new TokenReplaced()
  }

  /** As {@link probe}; throws also where the login is gone, which hides private keys. */
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

/** Another token sits in the slot: it was initialised again, or exchanged. */
export class TokenReplaced extends Error {
  override readonly name = 'TokenReplaced'
}

/** The standard pads with blanks; tpm2-pkcs11 pads with NULs. */
const unpadded = (text: string) => text.replace(/[\0 ]+$/, '')

/** `undefined` where none is told. */
const version = ({ major, minor }: { major: number; minor: number }): string | undefined =>
  major === 0 && minor === 0 ? undefined : `${major}.${minor}`

async function load({ binding, module: path }: OpenMessage): Promise<PKCS11> {
  const imported = (await import(binding).catch(() => {
    throw new OperatorError(
      'PKCS11JS_MISSING',
      'the optional package pkcs11js is not installed or was not built: run npm install pkcs11js (it compiles with ' +
        'node-gyp, so a C++ compiler, make and Python are needed)',
    )
  })) as { readonly default: typeof import('pkcs11js') }
  const module = new imported.default.PKCS11()
  try {
    module.load(path)
  } catch (error) {
    if (isCkrError(error)) throw error
    const reason = error instanceof Error ? error.message : 'unknown'
    throw new OperatorError('MODULE_UNUSABLE', `the PKCS#11 module ${path} cannot be loaded: ${reason}`)
  }
  return module
}

function findToken(module: PKCS11, { token: wanted, module: path }: OpenMessage): { slot: Handle; info: TokenInfo } {
  const present = module.C_GetSlotList(true).flatMap((slot) => {
    try {
      return [{ slot, info: module.C_GetTokenInfo(slot) }]
    } catch (error) {
      if (isCkrError(error)) return []
      throw error
    }
  })
  const matching = present.filter(
    ({ slot, info }) =>
      (info.flags & CKF.TOKEN_INITIALIZED) !== 0 &&
      (wanted.label === undefined || unpadded(info.label) === wanted.label) &&
      (wanted.serial === undefined || unpadded(info.serialNumber) === wanted.serial) &&
      (wanted.slot === undefined || slotNumber(slot) === wanted.slot),
  )
  const [only] = matching
  if (only !== undefined && matching.length === 1) return only
  const names = (tokens: typeof present) =>
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
  const seen =
    present.length === 0 ? `the module shows no token at all; ${remedyFor(path)}` : `the module shows ${names(present)}`
  // Whether it is away or misspelt cannot be told apart: many modules do not show a token that they do not reach.
  const message = `no initialised token matches the configuration: ${seen}`
  throw new OperatorError('TOKEN_NOT_FOUND', message, { transient: true })
}

/** A CK_ULONG of this machine; slot ids may be larger than 2^53. */
const slotNumber = (slot: Handle): bigint =>
  slot.length === 8 ? slot.readBigUInt64LE(0) : BigInt(slot.readUInt32LE(0))

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
