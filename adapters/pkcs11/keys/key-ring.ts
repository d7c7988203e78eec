import { AdapterError, type CallSignal, type KeyRef, type Report, type WrapAlgorithm } from '../../contract/index.ts'
import { Ask } from '../wire/frames.ts'
import { decodeMessage, encodeMessage, type KeyFacts } from '../wire/host-protocol.ts'
import { encodeSelector, parseKeyRef, type OpenToken } from '../names/key-selector.ts'
import type { Pkcs11Options } from '../options.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { referenceWays, type Direction, type Mechanisms, type Way } from '../cryptoki/way.ts'
import type { Qualification } from './qualification.ts'
import { Qualifier, type QualifiedKey } from './qualifier.ts'
import { SeenKeys } from './seen-keys.ts'
import { TokenCalls, type CryptCall } from './token-calls.ts'
import { allows, isExposed, tokenKey, type TokenKey } from './token-key.ts'
import { KeyWitness } from './witness.ts'

/**
 * Milliseconds. Attributes that are older than the first value are read again in the background; older than the second,
 * they are read before the next use.
 */
const FRESH_MS = 2000
const STALE_MS = 10_000

/**
 * Milliseconds until the modules are started again because a key was not found, at first and at most. Some modules
 * never see a key that another process made after they were started, and SoftHSM 2.6.1 sometimes does not.
 */
const RENEW_MS = { first: 5000, last: 60_000 }

/** A key, and how its algorithms are done. All looks at the same unchanged key share the latter. */
export interface KnownKey extends QualifiedKey {
  readonly readAt: number
  /** That of the token that showed it. */
  readonly generation: number
}

/**
 * What is known of the token's keys. Attributes count for seconds; qualifications count as long as the key does not
 * change.
 */
export class KeyRing {
  readonly #supervisor: Supervisor
  readonly #options: Pkcs11Options
  readonly #report: Report
  readonly #entries = new Map<KeyRef, KnownKey>()
  readonly #reading = new Map<KeyRef, Promise<KnownKey>>()
  readonly #seen = new SeenKeys()
  readonly #calls: TokenCalls
  readonly #qualifier: Qualifier
  /** By the way that a qualification of the key found. */
  readonly #witnesses = new WeakMap<Way, KeyWitness>()
  readonly #warned = new Set<string>()
  #generation: number
  #renewMs = RENEW_MS.first
  #renewAfter = performance.now() + RENEW_MS.first

  constructor(supervisor: Supervisor, options: Pkcs11Options, report: Report) {
    this.#supervisor = supervisor
    this.#generation = supervisor.generation
    this.#options = options
    this.#report = report
    this.#calls = new TokenCalls(supervisor)
    this.#qualifier = new Qualifier({
      crypt: (selector, way, direction, data, witness) =>
        this.#calls.crypt({ selector, way, direction, data, witness, purpose: 'background' }),
      mechanisms: (algorithm) => this.#mechanisms(algorithm),
      generation: () => supervisor.generation,
      onWay: (key, way) => this.#worked(this.#witnessOf(key, way)),
      report,
    })
  }

  /** The key as the token shows it now, or showed it seconds ago. A known key is returned at once. */
  find(ref: KeyRef): KnownKey | Promise<KnownKey> {
    this.#forgetOtherToken()
    const known = this.#entries.get(ref)
    const age = known === undefined ? Infinity : performance.now() - known.readAt
    if (known === undefined || age > STALE_MS) return this.read(ref)
    if (age > FRESH_MS) this.read(ref).catch(() => undefined)
    return known
  }

  /** The key as the token shows it now. Concurrent callers share one look. */
  read(ref: KeyRef): Promise<KnownKey> {
    const reading = this.#reading.get(ref)
    if (reading !== undefined) return reading
    const started = this.#readNow(ref).finally(() => this.#reading.delete(ref))
    this.#reading.set(ref, started)
    return started
  }

  forget(ref: KeyRef): void {
    this.#entries.delete(ref)
  }

  /** How to do `algorithm` with this key for a value of `bytes`: see {@link Qualifier.qualification}. */
  qualification(key: KnownKey, algorithm: WrapAlgorithm, bytes?: number): Qualification | Promise<Qualification> {
    this.#assertSameToken(key.generation)
    return this.#qualifier.qualification(key, algorithm, bytes)
  }

  /** Every qualification that was made on the open token. */
  qualifications(): Qualification[] {
    return this.#qualifier.all()
  }

  /** Wraps or unwraps on the token in a qualified way. The caller zeroes the result. */
  async crypt(
    key: KnownKey,
    way: Way,
    direction: Direction,
    data: Uint8Array,
    signal: CallSignal,
  ): Promise<Uint8Array> {
    this.#assertSameToken(key.generation)
    const witness = this.#witnessOf(key, way)
    const { ref, selector } = key
    const result = await this.#cryptIfThere(ref, { selector, way, direction, data, witness, signal })
    this.#worked(witness)
    if (direction === 'unwrap') witness?.learn(data)
    return result
  }

  /** Resolves if the token can use a recently used key. If none was used yet: if the token answers. */
  async probe(signal: CallSignal): Promise<void> {
    let failed = false
    const { generation } = this.#supervisor
    for (const witness of this.#supervisor.witnesses) {
      this.#assertSameToken(generation)
      const said = await witness.testify((selector, way, direction, data) =>
        this.#cryptIfThere(witness.ref, { selector, way, direction, data, witness, signal, purpose: 'probe' }),
      )
      signal.throwIfAborted()
      if (said === 'works') return this.#supervisor.worked(witness)
      failed ||= said === 'fails'
    }
    if (failed) throw TokenError.unavailable('the token can use none of the keys that were used lately')
    await this.#supervisor.call(Ask.probe, new Uint8Array(), { signal })
  }

  /** One session that does not find a key does not prove that the key is gone. */
  async #cryptIfThere(ref: KeyRef, call: CryptCall): Promise<Uint8Array> {
    try {
      return await this.#calls.crypt(call)
    } catch (error) {
      if (!(error instanceof AdapterError) || error.code !== 'KEY_NOT_FOUND') throw error
      await this.read(ref)
      this.#renewHosts()
      throw TokenError.unavailable(`one session does not find ${ref}, but another does`)
    }
  }

  #worked(witness: KeyWitness | undefined): void {
    if (witness !== undefined) this.#supervisor.worked(witness)
  }

  /** Undefined for a key that unwraps nothing. */
  #witnessOf(key: TokenKey, way: Way): KeyWitness | undefined {
    const known = this.#witnesses.get(way)
    if (known !== undefined || !allows(key.facts, 'unwrap')) return known
    const isBlocks = (way.scheme === 'KW' || way.scheme === 'KWP') && key.facts.decrypt !== false
    const [trial] = isBlocks ? referenceWays('KW', this.#mechanisms('A256KW')) : []
    const witness = new KeyWitness(key, way, trial)
    this.#witnesses.set(way, witness)
    return witness
  }

  async #readNow(ref: KeyRef): Promise<KnownKey> {
    this.#forgetOtherToken()
    const generation = this.#generation
    try {
      const selector = encodeSelector(parseKeyRef(ref, this.#openToken()))
      const facts = await this.#look(selector)
      this.#assertSameToken(generation)
      const key = tokenKey(ref, selector, facts)
      this.#checkExposure(key)
      this.#checkSize(key)
      const known = { ...key, readAt: performance.now(), generation, qualified: this.#qualifier.of(key) }
      this.#entries.set(ref, known)
      return known
    } catch (error) {
      // If the token cannot be asked, what is known of the key stays valid. Any other answer replaces it.
      if (!(error instanceof AdapterError) || error.code !== 'BACKEND_UNAVAILABLE') this.#entries.delete(ref)
      if (error instanceof AdapterError && error.code === 'KEY_NOT_FOUND') this.#renewHosts()
      throw error
    }
  }

  #renewHosts(): void {
    const now = performance.now()
    if (now < this.#renewAfter) return
    this.#renewAfter = now + this.#renewMs
    this.#renewMs = Math.min(RENEW_MS.last, this.#renewMs * 2)
    this.#supervisor.renew()
  }

  async #look(selector: string): Promise<KeyFacts> {
    try {
      const found = await this.#supervisor.call(Ask.find, encodeMessage(this.#seen.question(selector)))
      this.#seen.saw(selector)
      return decodeMessage<KeyFacts>(found)
    } catch (error) {
      if (error instanceof AdapterError && error.code === 'KEY_NOT_FOUND') {
        this.#seen.gone(selector)
        this.#supervisor.forget(selector)
      }
      throw error
    }
  }

  /** Another token with the same keys need not do them in the same way. */
  #forgetOtherToken(): void {
    if (this.#generation === this.#supervisor.generation) return
    this.#generation = this.#supervisor.generation
    this.#entries.clear()
    this.#qualifier.clear()
    this.#calls.forget()
    this.#seen.clear()
  }

  #assertSameToken(generation: number): void {
    if (generation !== this.#supervisor.generation) throw TokenError.otherToken()
  }

  #openToken(): OpenToken {
    return { ...this.#supervisor.token, module: this.#options.module }
  }

  #checkSize({ ref, facts }: TokenKey): void {
    if (facts.class !== 'secret' || facts.valueLen !== undefined) return
    this.#warnOnce(
      'hsm_key_size_unknown',
      ref,
      `the token does not show CKA_VALUE_LEN; the gateway assumes that ${ref} has 256 bits`,
    )
  }

  #warnOnce(event: string, key: KeyRef, reason: string): void {
    if (this.#warned.has(reason)) return
    this.#warned.add(reason)
    this.#report('warn', event, { key, reason })
  }

  #checkExposure(key: TokenKey): void {
    if (!isExposed(key.facts)) return
    const text = `${key.ref} can leave the token: CKA_SENSITIVE is ${key.facts.sensitive}, CKA_EXTRACTABLE is ${key.facts.extractable}`
    if (this.#options.requireSensitive === true) throw new AdapterError('OPERATION_FORBIDDEN', text)
    this.#warnOnce('hsm_key_exposed', key.ref, text)
  }

  #mechanisms(algorithm: WrapAlgorithm): Mechanisms {
    const { pin = {}, forbid = [] } = this.#options.mechanisms ?? {}
    const pinned = pin[algorithm]
    return { offered: this.#supervisor.token.mechanisms, forbidden: forbid, ...(pinned !== undefined && { pinned }) }
  }
}
