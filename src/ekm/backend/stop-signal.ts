import type { AdapterError, CallSignal } from '../../../adapters/contract/index.ts'

/** A call's signal. It costs nothing until somebody listens. */
export class StopSignal implements CallSignal {
  #reason: AdapterError | undefined
  #listeners: Set<() => void> | undefined

  get aborted(): boolean {
    return this.#reason !== undefined
  }

  get reason(): AdapterError | undefined {
    return this.#reason
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#reason) return
    this.#listeners ??= new Set()
    this.#listeners.add(listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#listeners?.delete(listener)
  }

  /** Only the first reason counts. */
  fire(reason: AdapterError): void {
    if (this.#reason) return
    this.#reason = reason
    for (const listener of this.#listeners ?? []) listener()
    this.#listeners = undefined
  }
}
