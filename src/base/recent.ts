import { Queue, type Place } from './queue.ts'

interface Kept<Value> {
  readonly key: string
  value: Value
}

/**
 * Values by key. Beyond `max`, the least recently used is forgotten.
 *
 * A use does not change the Map, because each change would leave garbage that survives: see {@link Queue}.
 */
export class Recent<Value> {
  readonly #max: number
  readonly #places = new Map<string, Place<Kept<Value>>>()
  /** The least recently used first. */
  readonly #kept = new Queue<Kept<Value>>()

  constructor(max: number) {
    this.#max = max
  }

  get size(): number {
    return this.#kept.size
  }

  get(key: string): Value | undefined {
    return this.#use(key)?.value
  }

  set(key: string, value: Value): void {
    const kept = this.#use(key)
    if (kept !== undefined) kept.value = value
    else this.#add({ key, value })
  }

  /** Makes it the most recently used. */
  #use(key: string): Kept<Value> | undefined {
    const place = this.#places.get(key)
    if (place === undefined) return undefined
    this.#kept.toEnd(place)
    return place.value
  }

  #add(kept: Kept<Value>): void {
    this.#places.set(kept.key, this.#kept.join(kept))
    const { first } = this.#kept
    if (this.#kept.size <= this.#max || first === undefined) return
    this.#kept.leave(first)
    this.#places.delete(first.value.key)
  }
}
