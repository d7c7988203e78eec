import type { WorkerProcess } from './worker-process.ts'

/** One attempt may take as long as a module that hangs, for each backend. */
const OPEN_MS = 60_000

/**
 * Has workers open the backends that were away when they started. One worker after the other: a PIN that is refused is
 * tried once, and not once by each.
 */
export class AwayBackends {
  readonly #givenUp = new Set<string>()
  #isOpening = false

  /** @param workers those that have such backends */
  async open(workers: readonly WorkerProcess[]): Promise<void> {
    if (this.#isOpening) return
    this.#isOpening = true
    for (const worker of workers) {
      // One that is lost has a successor, which has its own attempt.
      const givenUp = await worker.order('open', [...this.#givenUp], OPEN_MS).catch(() => [])
      for (const backend of givenUp) this.#givenUp.add(backend)
    }
    this.#isOpening = false
  }

  /** After a reload one more attempt is what the operator wants. */
  forget(): void {
    this.#givenUp.clear()
  }
}
