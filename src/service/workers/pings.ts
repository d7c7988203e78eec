import type { Answers } from './messages.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Milliseconds. A worker that answers none of five questions in a row hangs. */
const PING_MS = 2000
const MAX_UNANSWERED = 5

export interface PingsOptions {
  /** The workers that have to answer. */
  readonly workers: () => readonly WorkerProcess[]
  /** Called after each round with the workers that have backends which could not be reached at their start. */
  readonly onAway: (workers: readonly WorkerProcess[]) => Promise<void>
  readonly pingMs?: number | undefined
}

/** Asks the workers again and again how they are, and kills one that hangs. */
export class Pings {
  readonly #options: PingsOptions
  readonly #timer: NodeJS.Timeout
  readonly #unanswered = new WeakMap<WorkerProcess, number>()

  constructor(options: PingsOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.#ask(), options.pingMs ?? PING_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #ask(): Promise<void> {
    const { workers, onAway, pingMs = PING_MS } = this.#options
    const pings = workers().map(async (worker) => {
      try {
        const { backends } = (await worker.order('answer', 'status', pingMs)) as Answers['status']
        this.#unanswered.set(worker, 0)
        return backends.some(({ away }) => away) ? [worker] : []
      } catch {
        const unanswered = (this.#unanswered.get(worker) ?? 0) + 1
        this.#unanswered.set(worker, unanswered)
        if (unanswered >= MAX_UNANSWERED) worker.kill()
        return []
      }
    })
    await onAway((await Promise.all(pings)).flat())
  }
}
