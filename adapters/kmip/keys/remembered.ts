/** Bounds the memory, because callers can invent names. */
const MAX_REMEMBERED = 10_000

interface Entry<T> {
  readonly value: T
  readonly at: number
}

/** Values by name, with their ages. */
export class Remembered<T> {
  readonly #entries = new Map<string, Entry<T>>()

  get(name: string): { readonly value: T; readonly ageMs: number } | undefined {
    const entry = this.#entries.get(name)
    return entry && { value: entry.value, ageMs: performance.now() - entry.at }
  }

  /**
   * @param at when the value was requested, on `performance.now()`'s clock. A value that was requested later is not
   *   replaced
   */
  set(name: string, value: T, at = performance.now()): void {
    if ((this.#entries.get(name)?.at ?? at) > at) return
    if (this.#entries.size >= MAX_REMEMBERED && !this.#entries.has(name)) this.#entries.clear()
    this.#entries.set(name, { value, at })
  }

  delete(name: string): void {
    this.#entries.delete(name)
  }

  values(): T[] {
    return [...this.#entries.values()].map(({ value }) => value)
  }
}
