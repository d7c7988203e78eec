import {
  abortable,
  AdapterError,
  algorithmRow,
  lengthFits,
  wrapAlgorithms,
  type CallContext,
  type Facts,
  type KeyAdapter,
  type KeyDescription,
  type KeyInspection,
  type KeyRef,
  type Report,
  type WayFound,
  type WrapAlgorithm,
} from '../contract/index.ts'
import { isRepresentative, oaepWrap } from '../key-wrap/index.ts'
import type { TokenFacts } from './wire/host-protocol.ts'
import { KeyRing, type KnownKey } from './keys/key-ring.ts'
import { isUndecided, type Qualification } from './keys/qualification.ts'
import { wayOf } from './keys/qualifier.ts'
import { assertActive, assertAllows, type TokenKey } from './keys/token-key.ts'
import { openSupervisor } from './supervisor/open.ts'
import { sessionCount, type Pkcs11Options } from './options.ts'
import type { Supervisor } from './supervisor/supervisor.ts'
import { TokenError } from './cryptoki/token-error.ts'
import { wayName, type Direction } from './cryptoki/way.ts'

/**
 * Serves the keys of a PKCS#11 token. The keys never leave it. A key reference is a CKA_LABEL, `id:` and a CKA_ID in
 * hexadecimal, or a `pkcs11:` URI (RFC 7512).
 *
 * `describe` starts to qualify the key's algorithms in the background. A caller that describes every configured key at
 * start so spares the first requests the wait.
 */
export class Pkcs11Adapter implements KeyAdapter {
  readonly product: KeyAdapter['product']
  readonly inspection: KeyInspection = {
    facts: async (context) => {
      this.#assertOpen(context)
      return { fields: this.#facts() }
    },
    ways: async (ref, context) => (await this.qualify(ref, context)).map(wayFound),
  }
  readonly #supervisor: Supervisor
  readonly #keys: KeyRing
  readonly #sessions: number
  #closed = false

  private constructor(supervisor: Supervisor, sessions: number, options: Pkcs11Options, report: Report) {
    const { manufacturer, model, firmware } = supervisor.token
    this.product = { vendor: manufacturer, name: [model, firmware].filter(Boolean).join(' ') }
    this.#supervisor = supervisor
    this.#sessions = sessions
    this.#keys = new KeyRing(supervisor, options, report)
  }

  /**
   * Opens the token and logs in. It tries a wrong PIN once.
   * @throws OperatorError if anything is missing
   */
  static async open(options: Pkcs11Options, report: Report): Promise<Pkcs11Adapter> {
    const supervisor = await openSupervisor(options, { readWrite: false }, report)
    const sessions = sessionCount(options, supervisor.token.maxSessions)
    const { label, serial, library } = supervisor.token
    report('info', 'hsm_open', { token: label, serial, library, sessions })
    supervisor.grow(sessions)
    return new Pkcs11Adapter(supervisor, sessions, options, report)
  }

  get connections(): number {
    return this.#supervisor.pids.length
  }

  get connectionsWanted(): number {
    return this.#sessions
  }

  async describe(ref: KeyRef, context: CallContext): Promise<KeyDescription> {
    this.#assertOpen(context)
    const key = await abortable(this.#keys.read(ref), context.signal)
    assertActive(key, new Date())
    for (const algorithm of algorithmsOf(key)) void this.#qualifyQuietly(key, algorithm)
    return key.description
  }

  async wrap(ref: KeyRef, algorithm: WrapAlgorithm, plaintext: Uint8Array, context: CallContext): Promise<Uint8Array> {
    const key = await this.#usable(ref, algorithm, 'wrap', context)
    const { description } = key
    const row = algorithmRow(algorithm)
    if (!lengthFits(row.plaintext(description.bits), plaintext.length)) {
      const message = `${algorithm} cannot wrap ${plaintext.length} bytes under ${description.bits} bits`
      throw new AdapterError('INPUT_INVALID', message)
    }
    const { length } = plaintext
    const way = wayOf(await abortable(this.#keys.qualification(key, algorithm, length), context.signal), length)
    // Only the token can undo this wrapping, but the public key is enough to make it (RFC 8017 §7.1.1).
    if (key.publicKey !== undefined) return oaepWrap(key.publicKey, row.hash ?? 'SHA-256', plaintext)
    const wrapped = await this.#crypt(key, () => this.#keys.crypt(key, way, 'wrap', plaintext, context.signal))
    if (wrapped.length === row.wrappedBytes(plaintext.length, description.bits)) return wrapped
    throw new AdapterError('BACKEND_UNAVAILABLE', `the token wrapped ${plaintext.length} bytes to ${wrapped.length}`)
  }

  async unwrap(
    ref: KeyRef,
    algorithm: WrapAlgorithm,
    ciphertext: Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array> {
    const key = await this.#usable(ref, algorithm, 'unwrap', context)
    const { description } = key
    const row = algorithmRow(algorithm)
    const result = row.unwrapped(ciphertext.length, description.bits)
    const isPossible =
      description.kty === 'RSA'
        ? isRepresentative(ciphertext, description.n)
        : row.wrappedBytes(result.max, description.bits) === ciphertext.length
    if (!isPossible || !lengthFits(row.plaintext(description.bits), result.max)) throw TokenError.invalidCiphertext()
    // The length of a wrapped RSA value does not show how much it holds, and no value that is too long was wrapped.
    const length = row.kty === 'RSA' ? 0 : result.max
    const way = wayOf(await abortable(this.#keys.qualification(key, algorithm, length), context.signal), length)
    const plaintext = await this.#crypt(key, () => this.#keys.crypt(key, way, 'unwrap', ciphertext, context.signal))
    if (lengthFits(result, plaintext.length)) return plaintext
    plaintext.fill(0)
    throw TokenError.invalidCiphertext()
  }

  async probe(context: CallContext): Promise<void> {
    this.#assertOpen(context)
    await this.#keys.probe(context.signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#supervisor.close()
  }

  /** How each algorithm is done with each key that has been used so far, and which ways were rejected. */
  qualifications(): Qualification[] {
    return this.#keys.qualifications()
  }

  /** The same for one key, which is qualified now if it is not yet. */
  async qualify(ref: KeyRef, context: CallContext): Promise<Qualification[]> {
    this.#assertOpen(context)
    const key = await abortable(this.#keys.read(ref), context.signal)
    const all = algorithmsOf(key).map(async (algorithm) => this.#keys.qualification(key, algorithm))
    return abortable(Promise.all(all), context.signal)
  }

  /** The label, serial number, slot and library of the open token. */
  get token(): TokenFacts {
    return this.#supervisor.token
  }

  /** Process ids of the hosts that are open. */
  get hosts(): readonly number[] {
    return this.#supervisor.pids
  }

  #facts(): Facts {
    const { label, serial, manufacturer, model, firmware, slot, library, maxSessions, mechanisms } =
      this.#supervisor.token
    return {
      token: label,
      serial,
      manufacturer,
      model,
      ...(firmware !== undefined && { firmware }),
      slot: String(slot),
      library,
      mechanisms: mechanisms.length,
      sessions: this.#sessions,
      openSessions: this.#supervisor.pids.length,
      ...(maxSessions !== undefined && { maxSessions }),
    }
  }

  #assertOpen(context: CallContext): void {
    if (this.#closed) throw new AdapterError('CLOSED', 'the adapter is closed')
    context.signal.throwIfAborted()
  }

  async #usable(ref: KeyRef, algorithm: WrapAlgorithm, direction: Direction, context: CallContext): Promise<KnownKey> {
    this.#assertOpen(context)
    const key = await abortable(this.#keys.find(ref), context.signal)
    assertActive(key, new Date())
    assertAllows(key, direction)
    const { kty } = algorithmRow(algorithm)
    if (kty === key.description.kty) return key
    throw new AdapterError('ALGORITHM_UNSUPPORTED', `${algorithm} needs a key of type ${kty}`)
  }

  async #qualifyQuietly(key: KnownKey, algorithm: WrapAlgorithm): Promise<void> {
    try {
      await this.#keys.qualification(key, algorithm)
    } catch {
      // The call that uses the key gets the error.
    }
  }

  async #crypt(key: TokenKey, call: () => Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      return await call()
    } catch (error) {
      // Each of these codes shows that what is remembered of the key is out of date.
      if (error instanceof AdapterError && staleness.has(error.code)) this.#keys.forget(key.ref)
      throw error
    }
  }
}

const wayFound = (qualification: Qualification): WayFound => ({
  algorithm: qualification.algorithm,
  ...(qualification.way && { way: wayName(qualification.way) }),
  ...(qualification.maxBytes !== undefined && { maxBytes: qualification.maxBytes }),
  ...(isUndecided(qualification) && { undecided: true }),
  rejected: qualification.rejected.map(({ way: other, reason }) => ({ way: wayName(other), reason })),
})

const staleness: ReadonlySet<string> = new Set([
  'KEY_NOT_FOUND',
  'KEY_UNSUPPORTED',
  'KEY_AMBIGUOUS',
  'OPERATION_FORBIDDEN',
])

const algorithmsOf = ({ description }: TokenKey): WrapAlgorithm[] =>
  wrapAlgorithms.filter((algorithm) => algorithmRow(algorithm).kty === description.kty)
