import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, type Report, type WrapAlgorithm } from '../../contract/index.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { wayName, type Mechanisms, type Way } from '../cryptoki/way.ts'
import { SHORT_BYTES } from './known-answers.ts'
import { isRefuted, isUndecided, qualify, rejections, type Qualification } from './qualification.ts'
import type { TokenKey } from './token-key.ts'
import type { Crypt } from './witness.ts'

/**
 * Milliseconds until a way is tried again that was rejected because the module crashed or was too slow. The interval
 * grows. It is shorter if there is no other way.
 */
const DOUBT_MS = { undecided: 5000, served: 60_000, last: 3_600_000 }
/** Milliseconds before the token is asked once more whether it really can do nothing. */
const CONFIRM_MS = 100

interface Qualified {
  /** Known first, and enough for values of up to {@link SHORT_BYTES}. */
  readonly short: Promise<Qualification>
  readonly all: Promise<Qualification>
  known?: Qualification
  result?: Qualification
  /** When it is determined again. Until then the known result is used. */
  againAt: number
  againMs: number
}

export type Qualifications = Map<WrapAlgorithm, Qualified>

/** A key, and what is known of its algorithms. All looks at the same unchanged key share the latter. */
export interface QualifiedKey extends TokenKey {
  readonly qualified: Qualifications
}

export interface QualifierOptions {
  /** Runs behind the calls that callers wait for. */
  readonly crypt: Crypt
  readonly mechanisms: (algorithm: WrapAlgorithm) => Mechanisms
  /** Changes with the token. What was not determined on one token alone is not a result. */
  readonly generation: () => number
  /** Called with each way that was found to be right. */
  readonly onWay: (key: TokenKey, way: Way) => void
  readonly report: Report
}

/** Determines how the token does each algorithm with each key. A result counts as long as the key does not change. */
export class Qualifier {
  readonly #options: QualifierOptions
  /** By the key's fingerprint. */
  readonly #qualified = new Map<string, Qualifications>()
  /**
   * One algorithm of one key after another: first, for all of them, what short values need; then their length limits.
   */
  #turn: Promise<void> = Promise.resolve()
  #longTurn: Promise<void> = Promise.resolve()

  constructor(options: QualifierOptions) {
    this.#options = options
  }

  /** What is known of a key. Two looks at the same key share it. */
  of({ fingerprint }: TokenKey): Qualifications {
    const known = this.#qualified.get(fingerprint) ?? new Map<WrapAlgorithm, Qualified>()
    this.#qualified.set(fingerprint, known)
    return known
  }

  /** Every qualification that was made. */
  all(): Qualification[] {
    return [...this.#qualified.values()].flatMap((all) => [...all.values()].flatMap(({ result }) => result ?? []))
  }

  clear(): void {
    this.#qualified.clear()
  }

  /**
   * How to do `algorithm` with this key for a value of `bytes`. A known result is returned at once. Otherwise it is
   * determined once for all waiting callers.
   */
  qualification(key: QualifiedKey, algorithm: WrapAlgorithm, bytes = Infinity): Qualification | Promise<Qualification> {
    const known = key.qualified.get(algorithm) ?? this.#start(key, algorithm)
    if (performance.now() >= known.againAt) this.#doubt(key, algorithm, known)
    return bytes <= SHORT_BYTES ? (known.known ?? known.short) : (known.result ?? known.all)
  }

  #start(key: QualifiedKey, algorithm: WrapAlgorithm): Qualified {
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
        this.#conclude(key, qualified, result)
        resolve(result)
      },
      (error: unknown) => {
        key.qualified.delete(algorithm)
        reject(error)
      },
    )
    return qualified
  }

  /** Determines it again. The former result is used until then, and if it cannot be determined now. */
  #doubt(key: QualifiedKey, algorithm: WrapAlgorithm, qualified: Qualified): void {
    qualified.againAt = Infinity
    this.#qualify(key, algorithm).then(
      (result) => this.#conclude(key, qualified, result),
      () => (qualified.againAt = performance.now() + qualified.againMs),
    )
  }

  #conclude(key: TokenKey, qualified: Qualified, result: Qualification): void {
    const { known: before, result: full, againMs } = qualified
    qualified.againMs = againMs === 0 ? firstDoubtMs(result) : Math.min(DOUBT_MS.last, 2 * againMs)
    qualified.againAt = result.doubtful ? performance.now() + qualified.againMs : Infinity
    if (full !== undefined && isWorseByDoubt(result, full)) return
    qualified.known = result
    qualified.result = result
    if (result.way !== undefined) this.#options.onWay(key, result.way)
    if (before === undefined || againMs === 0 || rejections(before) !== rejections(result)) {
      this.#reportQualification(result)
    }
  }

  /** Runs one after another, behind the calls that callers wait for. */
  #qualify(
    key: QualifiedKey,
    algorithm: WrapAlgorithm,
    onShort?: (soFar: Qualification) => void,
  ): Promise<Qualification> {
    const { mechanisms } = this.#options
    const generation = this.#options.generation()
    const assertSameToken = () => {
      if (generation !== this.#options.generation()) throw TokenError.otherToken()
    }
    const crypt: Crypt = async (...call) => {
      assertSameToken()
      return this.#options.crypt(...call)
    }
    const [before, turn, longTurn] = [this.#turn, promiseWithResolvers<void>(), promiseWithResolvers<void>()]
    this.#turn = turn.promise
    const goOn = (soFar: Qualification) => {
      assertSameToken()
      onShort?.(soFar)
      turn.resolve()
      const others = this.#longTurn
      this.#longTurn = longTurn.promise
      return this.#behind(others)
    }
    return before
      .then(() => confirmed(() => qualify(key, algorithm, mechanisms(algorithm), crypt, goOn)))
      .then((result) => {
        assertSameToken()
        return result
      })
      .finally(() => {
        turn.resolve()
        longTurn.resolve()
      })
  }

  /** Resolves after `others`, when no caller waits for a first way. */
  async #behind(others: Promise<void>): Promise<void> {
    await others
    for (let last; last !== this.#turn;) {
      last = this.#turn
      await last
    }
  }

  #reportQualification(result: Qualification): void {
    const { key, algorithm, way, evidence, maxBytes } = result
    const rejected = rejections(result)
    if (isUndecided(result)) this.#options.report('error', 'hsm_algorithm_undecided', { key, algorithm, rejected })
    else if (way === undefined) this.#options.report('error', 'hsm_algorithm_unsupported', { key, algorithm, rejected })
    else {
      const fields = { key, algorithm, way: wayName(way), evidence: evidence ?? 'same key', rejected }
      const limit = maxBytes === undefined ? {} : { maxBytes }
      this.#options.report('info', 'hsm_algorithm_qualified', { ...fields, ...limit })
    }
  }
}

/** A way that was right is not given up, nor a length that it carried, because that fails for a while. */
const isWorseByDoubt = (now: Qualification, before: Qualification): boolean =>
  before.way !== undefined && now.doubtful && limitOf(now) < limitOf(before) && !isRefuted(now, before.way)

const firstDoubtMs = (qualification: Qualification): number =>
  isUndecided(qualification) ? DOUBT_MS.undecided : DOUBT_MS.served

const limitOf = ({ way, maxBytes = Infinity }: Qualification): number => (way === undefined ? 0 : maxBytes)

/**
 * Finds out once more if every way was refused. While another process logs in, SoftHSM 2.6.1 may refuse for a moment what
 * it can do, with codes that blame the key.
 */
export async function confirmed(find: () => Promise<Qualification>): Promise<Qualification> {
  const found = await find()
  if (found.way !== undefined || found.doubtful || found.rejected.length === 0) return found
  await sleep(CONFIRM_MS)
  return find()
}

/**
 * The way for a value of `bytes`.
 * @throws AdapterError `ALGORITHM_UNSUPPORTED` if there is none, `BACKEND_BUSY` if that is not known yet,
 *   `INPUT_INVALID` if the value is too long for every way that may be right
 */
export function wayOf(qualification: Qualification, bytes: number): Way {
  const { key, algorithm, way, doubtful } = qualification
  if (way !== undefined && bytes <= limitOf(qualification)) return way
  if (doubtful) {
    const message = `how the token does ${algorithm} with ${key} is not known yet for ${bytes} bytes`
    const retryAfterSeconds = firstDoubtMs(qualification) / 1000
    throw new AdapterError('BACKEND_BUSY', `${message}: ${rejections(qualification)}`, { retryAfterSeconds })
  }
  if (way === undefined) {
    throw new AdapterError('ALGORITHM_UNSUPPORTED', `the token has no right way to do ${algorithm} with ${key}`)
  }
  const limit = limitOf(qualification)
  throw new AdapterError('INPUT_INVALID', `with ${key} the token does ${algorithm} for at most ${limit} bytes`)
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
