import type { KeyAdapter, KeyDescription, KeyRef } from '../../adapters/contract/index.ts'
import type { Call } from './call.ts'

/** One of the operator's backends, with what it lately said of its keys, so that a wrap costs one trip and not two. */
export class Backend {
  readonly name: string
  readonly adapter: KeyAdapter
  readonly #cacheMs: number
  /** Only keys that the backend has are remembered, so the backend bounds its size. */
  readonly #descriptions = new Map<KeyRef, { readonly description: KeyDescription; readonly until: number }>()

  /** @param cacheMs how long a description is believed, in milliseconds; a key that was disabled stops within it */
  constructor(name: string, adapter: KeyAdapter, cacheMs: number) {
    this.name = name
    this.adapter = adapter
    this.#cacheMs = cacheMs
  }

  /** The key's description, remembered or fetched. */
  async recall(key: KeyRef, call: Call): Promise<KeyDescription> {
    const known = this.#descriptions.get(key)
    if (known !== undefined && performance.now() < known.until) return known.description
    return this.describe(key, call)
  }

  /** The key's description as the backend gives it now. */
  async describe(key: KeyRef, call: Call): Promise<KeyDescription> {
    try {
      const description = await call.askBackend(() => this.adapter.describe(key, call))
      this.#descriptions.set(key, { description, until: performance.now() + this.#cacheMs })
      return description
    } catch (error) {
      this.#descriptions.delete(key)
      throw error
    }
  }
}
