import { AdapterError, type CallSignal, type KeyRef, type Report, type WrapAlgorithm } from '../../contract/index.ts'
import { encodeCrypt } from '../crypt-message.ts'
import { Ask } from '../frames.ts'
import { decodeMessage, type KeyFacts } from '../host-protocol.ts'
import { encodeSelector, parseKeyRef, type OpenToken } from '../key-selector.ts'
import type { Pkcs11Options } from '../options.ts'
import { PIPELINE, type HostPool } from '../supervisor/host-pool.ts'
import { Pace } from '../supervisor/pace.ts'
import { wayName, type Direction, type Way } from '../way.ts'
import { SHORT_BYTES } from './known-answers.ts'
import { isUndecided, qualify, rejections, type Crypt, type Qualification } from './qualification.ts'
import { isExposed, tokenKey, type TokenKey } from './token-key.ts'

/** Attributes are read again in the background after the first, and before the next use after the second, in ms. */
const FRESH_MS = 2000
const STALE_MS = 10_000
/**
 * A way that was given up because the module crashed or was too slow gets another chance, and then less and less often. It
 * comes sooner where there is no other way.
 */
const DOUBT_MS = { undecided: 5000, served: 60_000, last: 3_600_000 }

/** How long a host-run key wrap keeps a host before others have their turn; most are done long before. */
const SLICE_MS = { call: 100, background: 20 }

/**
 * Some modules never see a key that another process made after they were started, and SoftHSM 2.6.1 now and then does not:
 * when a key is not found they are started afresh, first after 5 s, and then less and less often.
 */
const RENEW_MS = { first: 5000, last: 60_000 }

/** Two private operations at a time with a host: one that runs, one that is ready to. */
const RSA_WEIGHT = PIPELINE / 2

interface Qualified {
  /** What is known first, which is enough for values of up to {@link SHORT_BYTES}, and all that can be known. */
  readonly short: Promise<Qualification>
  readonly all: Promise<Qualification>
  known?: Qualification
  result?: Qualification
  /** When it is found out anew, while what is known serves on. */
  againAt: number
  againMs: number
}

type Qualifications = Map<WrapAlgorithm, Qualified>

/** A key and how its algorithms are done. The second is shared by every look at the same unchanged key. */
export interface KnownKey extends TokenKey {
  readonly readAt: number
  readonly qualified: Qualifications
}

/** What is known of the token's keys: attributes for seconds, qualifications for as long as the key stays the same. */
export class KeyRing {
  readonly #pool: HostPool
  readonly #options: Pkcs11Options
  readonly #report: Report
  readonly #entries = new Map<KeyRef, KnownKey>()
  readonly #reading = new Map<KeyRef, Promise<KnownKey>>()
  readonly #qualified = new Map<string, Qualifications>()
  /** By direction and selector. */
  readonly #paces = new Map<string, Pace>()
  readonly #warned = new Set<string>()
  /** One key's algorithm after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #generation = 0
  #renewMs = RENEW_MS.first
  #renewAfter = performance.now() + RENEW_MS.first

  constructor(pool: HostPool, options: Pkcs11Options, report: Report) {
    this.#pool = pool
    this.#options = options
    this.#report = report
  }

  /** The key as the token shows it now, or showed it seconds ago: in that case at once. */
  find(ref: KeyRef): KnownKey | Promise<KnownKey> {
    const known = this.#entries.get(ref)
    const age = known === undefined ? Infinity : performance.now() - known.readAt
    if (known === undefined || age > STALE_MS) return this.read(ref)
    if (age > FRESH_MS) this.read(ref).catch(() => undefined)
    return known
  }

  /** The key as the token shows it now. Several callers share one look. */
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

  /**
   * How to do `algorithm` on this key with a value of so many bytes: at once where it is known, else found out, once for all
   * callers that wait.
   */
  qualification(key: KnownKey, algorithm: WrapAlgorithm, bytes = Infinity): Qualification | Promise<Qualification> {
    const known = key.qualified.get(algorithm) ?? this.#start(key, algorithm)
    if (performance.now() >= known.againAt) this.#doubt(key, algorithm, known)
    return bytes <= SHORT_BYTES ? (known.known ?? known.short) : (known.result ?? known.all)
  }

  #start(key: KnownKey, algorithm: WrapAlgorithm): Qualified {
    const { promise: short, resolve, reject } = promiseWithResolvers<Qualification>()
    const all = this.#qualify(key, algorithm, (soFar) => {
      qualified.known = soFar
      resolve(soFar)
    })
    const qualified: Qualified = { short, all, againAt: Infinity, againMs: 0 }
    key.qualified.set(algorithm, qualified)
    short.catch(() => undefined)
    all.then(
      (result) => {
        this.#conclude(qualified, result)
        resolve(result)
      },
      (error: unknown) => {
        key.qualified.delete(algorithm)
        reject(error)
      },
    )
    return qualified
  }

  /** Finds it out again; what was known before serves until then, and if it cannot be found out now. */
  #doubt(key: KnownKey, algorithm: WrapAlgorithm, qualified: Qualified): void {
    qualified.againAt = Infinity
    this.#qualify(key, algorithm).then(
      (result) => this.#conclude(qualified, result),
      () => (qualified.againAt = performance.now() + qualified.againMs),
    )
  }

  #conclude(qualified: Qualified, result: Qualification): void {
    const { known: before, againMs } = qualified
    qualified.known = result
    qualified.result = result
    const first = isUndecided(result) ? DOUBT_MS.undecided : DOUBT_MS.served
    qualified.againMs = againMs === 0 ? first : Math.min(DOUBT_MS.last, 2 * againMs)
    qualified.againAt = result.doubtful ? performance.now() + qualified.againMs : Infinity
    if (before === undefined || againMs === 0 || rejections(before) !== rejections(result)) {
      this.#reportQualification(result)
    }
  }

  /** In turn with all others, and behind what somebody waits for. */
  #qualify(key: KnownKey, algorithm: WrapAlgorithm, onShort?: (soFar: Qualification) => void): Promise<Qualification> {
    const crypt: Crypt = (selector, way, direction, data) => this.#call(selector, way, direction, data, true)
    const done = this.#turn.then(() => qualify(key, algorithm, this.#mechanisms(algorithm), crypt, onShort))
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** Every qualification that has been made on the open token. */
  qualifications(): Qualification[] {
    return [...this.#qualified.values()].flatMap((all) => [...all.values()].flatMap(({ result }) => result ?? []))
  }

  /** Wraps or unwraps on the token. The result is the caller's to zero. */
  crypt(selector: string, way: Way, direction: Direction, data: Uint8Array, signal: CallSignal): Promise<Uint8Array> {
    return this.#call(selector, way, direction, data, false, signal)
  }

  #call(
    selector: string,
    way: Way,
    direction: Direction,
    data: Uint8Array,
    background: boolean,
    signal?: CallSignal,
  ): Promise<Uint8Array> {
    const sliceMs = background ? SLICE_MS.background : SLICE_MS.call
    return this.#pool.call(Ask.crypt, encodeCrypt({ way, direction, selector, data, step: 0, sliceMs }), {
      ...(signal && { signal }),
      unwrapping: direction === 'unwrap',
      weight: way.scheme === 'KW' || way.scheme === 'KWP' ? 1 : RSA_WEIGHT,
      pace: this.#paceOf(`${direction} ${selector}`),
      background,
    })
  }

  #paceOf(calls: string): Pace {
    const pace = this.#paces.get(calls) ?? new Pace()
    this.#paces.set(calls, pace)
    return pace
  }

  async #readNow(ref: KeyRef): Promise<KnownKey> {
    try {
      const selector = encodeSelector(parseKeyRef(ref, this.#openToken()))
      const facts = decodeMessage<KeyFacts>(await this.#pool.call(Ask.find, Buffer.from(selector)))
      const key = tokenKey(ref, selector, facts)
      this.#checkExposure(key)
      this.#checkSize(key)
      const known = { ...key, readAt: performance.now(), qualified: this.#qualificationsOf(key) }
      this.#entries.set(ref, known)
      return known
    } catch (error) {
      // A token that cannot be asked leaves what is known of the key standing; any other answer is news of it.
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
    this.#pool.renew()
  }

  #qualificationsOf({ fingerprint }: TokenKey): Qualifications {
    if (this.#generation !== this.#pool.generation) {
      this.#qualified.clear()
      this.#paces.clear()
    }
    this.#generation = this.#pool.generation
    const known = this.#qualified.get(fingerprint) ?? new Map<WrapAlgorithm, Qualified>()
    this.#qualified.set(fingerprint, known)
    return known
  }

  #openToken(): OpenToken {
    return { ...this.#pool.token, module: this.#options.module }
  }

  #checkSize({ ref, facts }: TokenKey): void {
    if (facts.class !== 'secret' || facts.valueLen !== undefined) return
    this.#warnOnce('hsm_key_size_unknown', ref, `the token does not show CKA_VALUE_LEN; ${ref} is taken for 256 bits`)
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

  #mechanisms(algorithm: WrapAlgorithm) {
    const { pin = {}, forbid = [] } = this.#options.mechanisms ?? {}
    const pinned = pin[algorithm]
    return { offered: this.#pool.token.mechanisms, forbidden: forbid, ...(pinned !== undefined && { pinned }) }
  }

  #reportQualification(result: Qualification): void {
    const { key, algorithm, way, evidence, maxBytes } = result
    const rejected = rejections(result)
    if (isUndecided(result)) this.#report('error', 'hsm_algorithm_undecided', { key, algorithm, rejected })
    else if (way === undefined) this.#report('error', 'hsm_algorithm_unsupported', { key, algorithm, rejected })
    else {
      const fields = { key, algorithm, way: wayName(way), evidence: evidence ?? 'same key', rejected }
      const limit = maxBytes === undefined ? {} : { maxBytes }
      this.#report('info', 'hsm_algorithm_qualified', { ...fields, ...limit })
    }
  }
}

/**
 * The way to go for a value of so many bytes. Throws `ALGORITHM_UNSUPPORTED` where there is none, `BACKEND_BUSY` where that is
 * not known yet, and `INPUT_INVALID` for a value that is too long for it.
 */
export function wayOf(qualification: Qualification, bytes: number): Way {
  const { key, algorithm, way, maxBytes = Infinity } = qualification
  if (isUndecided(qualification)) {
    const message = `how the token does ${algorithm} with ${key} is not known yet: ${rejections(qualification)}`
    throw new AdapterError('BACKEND_BUSY', message, { retryAfterSeconds: DOUBT_MS.undecided / 1000 })
  }
  if (way === undefined) {
    throw new AdapterError('ALGORITHM_UNSUPPORTED', `the token has no right way to do ${algorithm} with ${key}`)
  }
  if (bytes <= maxBytes) return way
  throw new AdapterError('INPUT_INVALID', `with ${key} the token does ${algorithm} for at most ${maxBytes} bytes`)
}

function promiseWithResolvers<Value>() {
  let settle: { resolve: (value: Value) => void; reject: (error: unknown) => void } | undefined
  const promise = new Promise<Value>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return {
    promise,
    resolve: (value: Value) => settle?.resolve(value),
    reject: (error: unknown) => settle?.reject(error),
  }
}
