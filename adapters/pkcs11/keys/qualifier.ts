import { AdapterError, type Report, type WrapAlgorithm } from '../../contract/index.ts'
import { wayName, type Mechanisms, type Way } from '../way.ts'
import { SHORT_BYTES } from './known-answers.ts'
import { isRefuted, isUndecided, qualify, rejections, type Qualification } from './qualification.ts'
import type { TokenKey } from './token-key.ts'
import type { Crypt } from './witness.ts'

/**
 * A way that was given up because the module crashed or was too slow gets another chance, and then less and less often. It
 * comes sooner where there is no other way.
 */
const DOUBT_MS = { undecided: 5000, served: 60_000, last: 3_600_000 }

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

export type Qualifications = Map<WrapAlgorithm, Qualified>

/** A key, and what is known of its algorithms, which every look at the same unchanged key shares. */
export interface QualifiedKey extends TokenKey {
  readonly qualified: Qualifications
}

export interface QualifierOptions {
  /** Runs behind what somebody waits for. */
  readonly crypt: Crypt
  readonly mechanisms: (algorithm: WrapAlgorithm) => Mechanisms
  /** Told of each way that was found to be right. */
  readonly onWay: (key: TokenKey, way: Way) => void
  readonly report: Report
}

/** Finds out how the token does each algorithm on each key, for as long as the key stays the same. */
export class Qualifier {
  readonly #options: QualifierOptions
  /** By the key's fingerprint. */
  readonly #qualified = new Map<string, Qualifications>()
  /** One key's algorithm after the other: first what short values need, of all of them, then how long a value may be. */
  #turn: Promise<void> = Promise.resolve()
  #longTurn: Promise<void> = Promise.resolve()

  constructor(options: QualifierOptions) {
    this.#options = options
  }

  /** What is known of a key; the same for two looks at it. */
  of({ fingerprint }: TokenKey): Qualifications {
    const known = this.#qualified.get(fingerprint) ?? new Map<WrapAlgorithm, Qualified>()
    this.#qualified.set(fingerprint, known)
    return known
  }

  /** Every qualification that has been made. */
  all(): Qualification[] {
    return [...this.#qualified.values()].flatMap((all) => [...all.values()].flatMap(({ result }) => result ?? []))
  }

  clear(): void {
    this.#qualified.clear()
  }

  /**
   * How to do `algorithm` on this key with a value of so many bytes: at once where it is known, else found out, once for all
   * callers that wait.
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

  /** Finds it out again; what was known before serves until then, and if it cannot be found out now. */
  #doubt(key: QualifiedKey, algorithm: WrapAlgorithm, qualified: Qualified): void {
    qualified.againAt = Infinity
    this.#qualify(key, algorithm).then(
      (result) => this.#conclude(key, qualified, result),
      () => (qualified.againAt = performance.now() + qualified.againMs),
    )
  }

  #conclude(key: TokenKey, qualified: Qualified, result: Qualification): void {
    const { known: before, result: full, againMs } = qualified
    const first = isUndecided(result) ? DOUBT_MS.undecided : DOUBT_MS.served
    qualified.againMs = againMs === 0 ? first : Math.min(DOUBT_MS.last, 2 * againMs)
    qualified.againAt = result.doubtful ? performance.now() + qualified.againMs : Infinity
    // A way that was right is not given up because it fails for a while.
    if (full?.way !== undefined && isUndecided(result) && !isRefuted(result, full.way)) return
    qualified.known = result
    qualified.result = result
    if (result.way !== undefined) this.#options.onWay(key, result.way)
    if (before === undefined || againMs === 0 || rejections(before) !== rejections(result)) {
      this.#reportQualification(result)
    }
  }

  /** In turn with all others, and behind what somebody waits for. */
  #qualify(
    key: QualifiedKey,
    algorithm: WrapAlgorithm,
    onShort?: (soFar: Qualification) => void,
  ): Promise<Qualification> {
    const { crypt, mechanisms } = this.#options
    const [before, turn, longTurn] = [this.#turn, promiseWithResolvers<void>(), promiseWithResolvers<void>()]
    this.#turn = turn.promise
    const goOn = (soFar: Qualification) => {
      onShort?.(soFar)
      turn.resolve()
      const others = this.#longTurn
      this.#longTurn = longTurn.promise
      return this.#behind(others)
    }
    return before
      .then(() => qualify(key, algorithm, mechanisms(algorithm), crypt, goOn))
      .finally(() => {
        turn.resolve()
        longTurn.resolve()
      })
  }

  /** Resolves after `others`, when nobody waits to know a first way. */
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
