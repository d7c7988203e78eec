/** A value's place in a {@link Queue}. */
export interface Place<T> {
  readonly value: T
}

interface Standing<T> extends Place<T> {
  before: Standing<T> | undefined
  after: Standing<T> | undefined
  left: boolean
}

/**
 * Values in the order in which they came. Each can leave from any place.
 *
 * It is not a Set, because of V8's garbage collector. A long-lived Set or Map links each of its outgrown tables to the
 * next. Once one table is in the old generation, a collection of the young generation treats all later tables as alive,
 * and with them every request that was ever in one. At a thousand requests a second that causes a full collection every
 * few seconds.
 */
export class Queue<T> {
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
    const standing: Standing<T> = { value, before: undefined, after: undefined, left: false }
    this.#append(standing)
    return standing
  }

  /** False for a value that has left already. `place` must belong to this queue. */
  leave(place: Place<T>): boolean {
    const standing = place as Standing<T>
    if (standing.left) return false
    this.#remove(standing)
    standing.left = true
    return true
  }

  /** Makes it the last. `place` must belong to this queue, and have a value that has not left. */
  toEnd(place: Place<T>): void {
    const standing = place as Standing<T>
    if (standing === this.#last) return
    this.#remove(standing)
    this.#append(standing)
  }

  #append(standing: Standing<T>): void {
    standing.before = this.#last
    if (this.#last === undefined) this.#first = standing
    else this.#last.after = standing
    this.#last = standing
    this.#size += 1
  }

  #remove(standing: Standing<T>): void {
    const { before, after } = standing
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    // A value that has left keeps no others alive.
    standing.before = standing.after = undefined
    this.#size -= 1
  }

  /** The first value that is wanted. Undefined if there is none. */
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
