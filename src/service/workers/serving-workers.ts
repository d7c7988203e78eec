import type { ConfigContents } from '../../config/make.ts'
import { WorkerLost, type WorkerProcess } from './worker-process.ts'

/** Milliseconds. Opening an HSM takes seconds; after this time something hangs. */
const PREPARE_MS = 30_000
const COMMIT_MS = 10_000

/** The workers that serve, and the configuration that each serves by. A switch to another has two steps. */
export class ServingWorkers {
  readonly #contents = new Map<WorkerProcess, ConfigContents>()
  readonly #prepareMs: number

  /** @param prepareMs milliseconds that a worker may take for the first step */
  constructor(prepareMs = PREPARE_MS) {
    this.#prepareMs = prepareMs
  }

  get all(): WorkerProcess[] {
    return [...this.#contents.keys()]
  }

  add(worker: WorkerProcess, contents: ConfigContents): void {
    this.#contents.set(worker, contents)
  }

  remove(worker: WorkerProcess): void {
    this.#contents.delete(worker)
  }

  has(worker: WorkerProcess): boolean {
    return this.#contents.has(worker)
  }

  /**
   * The first step: each of `workers` opens what it will need. A worker that dies meanwhile does not count.
   * @returns the workers to {@link commit}
   * @throws the error of the first worker that refuses; then no worker has changed anything
   */
  async prepare(workers: readonly WorkerProcess[], contents: ConfigContents): Promise<readonly WorkerProcess[]> {
    const prepared = await this.#prepareAll(workers, contents)
    const alive = workers.filter((worker) => this.has(worker))
    const problem = prepared.find(
      (outcome, index) => outcome.status === 'rejected' && alive.includes(workers[index] as WorkerProcess),
    )
    const first = prepared.find((outcome) => outcome.status === 'fulfilled')
    if (problem?.status !== 'rejected' && first !== undefined) return alive
    // A worker that cannot even abort hangs in the backend that it opened.
    for (const worker of alive) void worker.order('abort', undefined, COMMIT_MS).catch(() => worker.kill())
    throw problem?.status === 'rejected' ? problem.reason : new WorkerLost('no worker is left')
  }

  /** Asks the first worker alone, as at the start, so that a wrong PIN is tried once. */
  async #prepareAll([one, ...others]: readonly WorkerProcess[], contents: ConfigContents) {
    const order = (worker: WorkerProcess) => worker.order('prepare', contents, this.#prepareMs)
    const [first] = await Promise.allSettled(one === undefined ? [] : [order(one)])
    if (first === undefined) return []
    if (first.status === 'rejected' && !(first.reason instanceof WorkerLost)) return [first]
    return [first, ...(await Promise.allSettled(others.map(order)))]
  }

  /**
   * The second step: a worker serves by what it has prepared.
   *
   * @param isAboutBackends whether it also tries again what was given up
   */
  async commit(worker: WorkerProcess, contents: ConfigContents, isAboutBackends = false): Promise<void> {
    try {
      await worker.order('commit', isAboutBackends, COMMIT_MS)
      this.#contents.set(worker, contents)
    } catch {
      // It must not keep serving by the former configuration. Its successor starts with the one in use.
      worker.kill()
    }
  }

  /**
   * Switches a worker that started during a reload, and so has the former configuration.
   * @throws what the worker rejects with; the worker is then killed
   */
  async bringUpToDate(worker: WorkerProcess, contents: ConfigContents): Promise<void> {
    if (this.#contents.get(worker) === contents) return
    try {
      await worker.order('prepare', contents, PREPARE_MS)
      await this.commit(worker, contents)
    } catch (error) {
      worker.kill()
      throw error
    }
  }

  /** Has all finish what they do, and take nothing new. */
  async retire(): Promise<void> {
    await Promise.allSettled(this.all.map((worker) => worker.order('retire', undefined, COMMIT_MS)))
  }
}
