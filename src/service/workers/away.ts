import type { WorkerProcess } from './worker-process.ts'

/** Milliseconds. For each backend one attempt may take as long as a module that hangs. */
const OPEN_MS = 60_000

/**
 * Has workers open the backends that could not be reached at start. One worker at a time: a refused PIN is then tried
 * once, not once by each worker.
 */
export class AwayBackends {
  readonly #givenUp = new Set<string>()
  #isOpening = false
  /** Counts up with each {@link AwayBackends.forget}: what was given up before it says nothing any more. */
  #age = 0

  /** @param workers those that have such backends */
  async open(workers: readonly WorkerProcess[]): Promise<void> {
    if (this.#isOpening) return
    this.#isOpening = true
    for (const worker of workers) {
      // The successor of a lost worker makes its own attempt.
      const age = this.#age
      const givenUp = await worker.order('open', [...this.#givenUp], OPEN_MS).catch(() => [])
      if (age === this.#age) for (const backend of givenUp) this.#givenUp.add(backend)
    }
    this.#isOpening = false
  }

  /** Allows one more attempt. */
  forget(): void {
    this.#age += 1
    this.#givenUp.clear()
  }
}
