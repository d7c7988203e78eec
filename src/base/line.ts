/** Where a value stands in a {@link Line}. */
export interface Place<T> {
  readonly value: T
}

interface Standing<T> extends Place<T> {
  before: Standing<T> | undefined
  after: Standing<T> | undefined
  left: boolean
}

/**
 * Values in the order in which they came; each can leave from wherever it stands.
 *
 * Not a Set, because of V8's collector: a Set or a Map that lives long leads from each table that it has outgrown to the
 * next. Once a table has grown old, the collection of what is young takes all tables that came after it for alive, and
 * with them every request that was ever in one: at a thousand requests a second, a full collection every few seconds.
 */
export class Line<T> {
  #first: Standing<T> | undefined
  #last: Standing<T> | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): Place<T> | undefined {
    return this.#first
  }

  join(value: T): Place<T> {
    const standing: Standing<T> = { value, before: this.#last, after: undefined, left: false }
    if (this.#last === undefined) this.#first = standing
    else this.#last.after = standing
    this.#last = standing
    this.#size += 1
    return standing
  }

  /** `false` for who has left already. `place` must be of this line. */
  leave(place: Place<T>): boolean {
    const standing = place as Standing<T>
    if (standing.left) return false
    const { before, after } = standing
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    // Who has left leads nowhere.
    standing.before = standing.after = undefined
    standing.left = true
    this.#size -= 1
    return true
  }

  /** The first that is wanted. */
  find(isWanted: (value: T) => boolean): T | undefined {
    let standing = this.#first
    while (standing !== undefined && !isWanted(standing.value)) standing = standing.after
    return standing?.value
  }

  values(): T[] {
    const values: T[] = []
    for (let standing = this.#first; standing !== undefined; standing = standing.after) values.push(standing.value)
    return values
  }
}
