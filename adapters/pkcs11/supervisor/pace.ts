/** The weight of one call's duration in the average. */
const WEIGHT = 0.2
/** Milliseconds. No other call should wait longer for one call. */
const SLOW_MS = 5
/** A slow call takes this many times as long as the quickest other one. If all are slow, the token is, or the machine. */
const SLOW_TIMES = 2
/** Milliseconds for which a key counts as in use after each of its calls. */
const IN_USE_MS = 1000
/** Milliseconds for which {@link Paces} remembers which keys are the quickest. */
const LOOK_MS = 100

/** True if other calls should not have to wait for one of `ms` milliseconds where theirs take `usualMs`. */
export const isSlowBeside = (ms: number, usualMs: number): boolean => ms > SLOW_MS && ms > SLOW_TIMES * usualMs

/** How long the token takes for calls of one kind: with one key in one direction, or of nobody's. */
export class Pace {
  /** Absent for calls that use no key of a caller's. */
  readonly key: PacedKey | undefined
  readonly #beside: Paces
  readonly #like: Pace | undefined
  /** `undefined` before the first call. */
  averageMs: number | undefined
  /** How long a call lasts already that was not answered, if none was since. */
  #lastsMs = 0
  /** True if the key has become slower in its other direction since the last answer in this one. */
  #isDoubted = false

  /** @param like calls that take at least as long, as far as is known */
  constructor(beside: Paces, key?: PacedKey, like?: Pace) {
    this.#beside = beside
    this.key = key
    this.#like = like
  }

  /** How long a call is expected to take; 0 before the first. */
  get ms(): number {
    const sibling = this.#isDoubted ? this.#sibling : undefined
    return sibling === undefined ? this.#ownMs : Math.max(this.#ownMs, sibling.#ownMs)
  }

  /** Whether calls with other keys should not have to wait behind it. */
  get isSlow(): boolean {
    const { ms } = this
    // Nearly all calls are quick, and are asked often.
    if (ms <= SLOW_MS) return false
    const quickest = Math.min(this.#quickestBeside, this.#sibling?.averageMs ?? Infinity)
    return isSlowBeside(ms, Number.isFinite(quickest) ? quickest : 0)
  }

  /** Whether another key is in use. */
  get isBesideOthers(): boolean {
    return this.#quickestBeside < Infinity
  }

  get #ownMs(): number {
    return Math.max(this.averageMs ?? 0, this.#lastsMs, this.#like?.ms ?? 0)
  }

  get #quickestBeside(): number {
    return this.#beside.quickestBeside(this.key)
  }

  get #sibling(): Pace | undefined {
    return this.key?.other(this)
  }

  /** Records that a call was answered. */
  took(ms: number): void {
    this.#doubtOther(ms)
    this.#isDoubted = false
    this.#lastsMs = 0
    this.key?.answered()
    const { averageMs = 0 } = this
    this.averageMs = averageMs + (ms - averageMs) * WEIGHT
  }

  /** Records how long a call lasts that is not answered yet. */
  lasts(ms: number): void {
    this.#doubtOther(ms)
    this.#lastsMs = Math.max(this.#lastsMs, ms)
  }

  /** Records that a call has cost its host after `ms`. */
  hung(ms: number): void {
    this.lasts(ms)
    if (this.key !== undefined) this.key.hasHung = true
  }

  #doubtOther(ms: number): void {
    const sibling = this.#sibling
    if (sibling !== undefined && isSlowBeside(ms, this.averageMs ?? 0)) sibling.#isDoubted = true
  }
}

/** A key, and its paces. */
export class PacedKey {
  readonly wrap: Pace
  readonly unwrap: Pace
  /** Unwraps that examine the token's health. They have a queue of their own. */
  readonly probe: Pace
  readonly #beside: Paces
  /** When a call was answered last, on `performance.now()`'s clock. */
  answeredAt = -Infinity
  /** True if a call has cost its host since then. */
  hasHung = false
  /** How many of its calls wait or are under way. */
  #calls = 0
  #usedAt = -Infinity

  constructor(beside: Paces) {
    this.wrap = new Pace(beside, this)
    this.unwrap = new Pace(beside, this)
    this.probe = new Pace(beside, this, this.unwrap)
    this.#beside = beside
  }

  /** The pace of its other direction. */
  other(pace: Pace): Pace {
    return pace === this.wrap ? this.unwrap : this.wrap
  }

  /** That of its quicker direction; 0 before the first call. */
  get ms(): number {
    const { wrap, unwrap } = this
    return Math.min(wrap.averageMs ?? unwrap.averageMs ?? 0, unwrap.averageMs ?? Infinity)
  }

  answered(): void {
    this.answeredAt = performance.now()
    this.hasHung = false
  }

  /** Records that a call has come. */
  begin(): void {
    if (!this.isInUse(performance.now())) this.#beside.comesInUse(this)
    this.#calls += 1
  }

  /** Records that nobody waits for a call any more. */
  end(): void {
    this.#calls -= 1
    this.#usedAt = performance.now()
  }

  isInUse(now: number): boolean {
    return this.#calls > 0 || now - this.#usedAt < IN_USE_MS
  }
}

/** The paces of the keys of one token. */
export class Paces {
  readonly #keys = new Map<string, PacedKey>()
  /** The two quickest keys in use. The second is what the quickest itself is compared with. */
  #quickest: readonly PacedKey[] = []
  #lookedAt = -Infinity

  of(selector: string, kind: 'wrap' | 'unwrap' | 'probe'): Pace {
    const key = this.#keys.get(selector) ?? new PacedKey(this)
    this.#keys.set(selector, key)
    return key[kind]
  }

  clear(): void {
    this.#keys.clear()
    this.#quickest = []
  }

  /** Milliseconds; `Infinity` where no other key is in use. */
  quickestBeside(key: PacedKey | undefined): number {
    const now = performance.now()
    if (now - this.#lookedAt > LOOK_MS) {
      this.#lookedAt = now
      this.#quickest = this.#twoQuickest(now)
    }
    return this.#quickest.find((other) => other !== key)?.ms ?? Infinity
  }

  comesInUse({ ms }: PacedKey): void {
    const [, second] = this.#quickest
    if (ms < (second?.ms ?? Infinity)) this.#lookedAt = -Infinity
  }

  #twoQuickest(now: number): PacedKey[] {
    let [first, second]: (PacedKey | undefined)[] = []
    for (const key of this.#keys.values()) {
      if (!key.isInUse(now)) continue
      if (first === undefined || key.ms < first.ms) [first, second] = [key, first]
      else if (second === undefined || key.ms < second.ms) second = key
    }
    return [first, second].filter((key) => key !== undefined)
  }
}
