import cluster from 'node:cluster'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { withoutInspector } from '../../../adapters/contract/no-inspector.ts'
import type { ConfigContents } from '../../config/load.ts'
import { describeBug, type RelayLog } from '../../telemetry/log.ts'
import type { Lesson } from '../../tls/listener.ts'
import { AwayBackends } from './away.ts'
import { relayLines } from './line-relay.ts'
import type { Answers, StartOrder } from './messages.ts'
import { WorkerLost, WorkerProcess, type WorkerEnd } from './worker-process.ts'

/** A start gives up an HSM that hangs by itself, after 15 seconds for each, and serves the others. */
const START_MS = 60_000
/** Opening an HSM takes seconds; longer than this, something hangs. */
const PREPARE_MS = 30_000
const COMMIT_MS = 10_000
/** A worker that answered none of five questions in a row hangs. */
const PING_MS = 2000
const MAX_UNANSWERED = 5
/** A worker that lived so long did not die of its start: its successor is not kept waiting. */
const SETTLED_MS = 10_000
const BACKOFF_MS = { first: 100, most: 10_000 } as const
/** How much longer than its requests a worker may take to end. */
const END_MS = 3000
const MAX_LEARNED = 1000
/** A PIN that was refused is not tried by one successor after the other: that could lock it. */
const NOT_TRIED_AGAIN = 'LOGIN_REFUSED'

export interface WorkerGroupOptions {
  readonly count: number
  readonly file: string
  readonly log: RelayLog
  /** Where the log goes, which decides whether what workers print there is a log line. */
  readonly destination: string
  readonly ticketKeys: Buffer
  /** The program that calls {@link runWorker}; by default this one. */
  readonly exec?: string
  readonly prepareMs?: number
  readonly pingMs?: number
}

/** The processes that serve, and the primary's knowledge of them. The primary itself serves no request. */
export class WorkerGroup {
  readonly #options: WorkerGroupOptions
  readonly #workers = new Map<number, WorkerProcess>()
  /** Of these, the ones that serve, with the state that each serves by. */
  readonly #serving = new Map<WorkerProcess, ConfigContents>()
  /** What workers taught that stays true: issuing CAs. */
  readonly #lessons = new Map<string, Lesson>()
  readonly #away = new AwayBackends()
  readonly #quickEnds = new Map<number, number>()
  /** Workers that are not started again before a reload. */
  readonly #givenUp = new Set<number>()
  readonly #pings: NodeJS.Timeout
  #contents: ConfigContents
  #draining = false

  private constructor(options: WorkerGroupOptions, contents: ConfigContents) {
    this.#options = options
    this.#contents = contents
    this.#pings = setInterval(() => void this.#ping(), options.pingMs ?? PING_MS)
    this.#pings.unref()
    process.once('exit', () => {
      for (const worker of this.#workers.values()) worker.kill()
    })
  }

  /**
   * Starts the workers, the first one alone: what is wrong with it is wrong with all of them. Rejects with its
   * OperatorError, and then none is left. Resolves with the port that they share.
   */
  static async start(
    options: WorkerGroupOptions,
    contents: ConfigContents,
  ): Promise<{ group: WorkerGroup; port: number }> {
    const { exec } = options
    cluster.setupPrimary({
      serialization: 'advanced',
      silent: true,
      execArgv: [...process.execArgv, ...withoutInspector],
      ...(exec !== undefined && { exec, args: [] }),
    })
    const group = new WorkerGroup(options, contents)
    try {
      const { port } = await group.#spawn(0)
      await Promise.all(Array.from({ length: options.count - 1 }, (_, index) => group.#spawn(index + 1)))
      return { group, port }
    } catch (error) {
      group.#draining = true
      clearInterval(group.#pings)
      await group.#killAll()
      throw reasonOf(error)
    }
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Asks every worker that serves; who does not answer in time is left out. */
  async collect<Question extends keyof Answers>(question: Question, patienceMs: number): Promise<Answers[Question][]> {
    const asked = [...this.#serving.keys()].map((worker) => worker.order('answer', question, patienceMs))
    const settled = await Promise.allSettled(asked)
    return settled.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value as Answers[Question]] : []))
  }

  /**
   * Changes all workers over to another configuration, or none. Rejects with the first worker's OperatorError. A worker
   * that dies meanwhile does not count: its successor starts with what holds by then.
   */
  async reload(contents: ConfigContents): Promise<readonly string[]> {
    const workers = [...this.#serving.keys()]
    const prepared = await this.#prepare(workers, contents)
    const alive = workers.filter((worker) => this.#serving.has(worker))
    const problem = prepared.find(
      (outcome, index) => outcome.status === 'rejected' && alive.includes(workers[index] as WorkerProcess),
    )
    const first = prepared.find((outcome) => outcome.status === 'fulfilled')
    if (problem?.status === 'rejected' || first === undefined) {
      // One that cannot even let go hangs in the backend that it opened.
      for (const worker of alive) void worker.order('abort', undefined, COMMIT_MS).catch(() => worker.kill())
      throw reasonOf(problem?.status === 'rejected' ? problem.reason : new WorkerLost('no worker is left'))
    }
    this.#contents = contents
    this.#away.forget()
    await Promise.all(alive.map((worker) => this.#commit(worker, contents)))
    // Those that began to serve meanwhile were not asked. One that fails is killed; its successor starts with what holds now.
    const late = [...this.#serving.keys()].filter((worker) => !workers.includes(worker))
    await Promise.allSettled(late.map(({ index }) => this.#bringUpToDate(index)))
    for (const index of this.#givenUp) void this.#startAgain(index)
    this.#givenUp.clear()
    return first.value
  }

  /** The first one alone, as at the start: a wrong PIN is tried once. */
  async #prepare([one, ...others]: readonly WorkerProcess[], contents: ConfigContents) {
    const { prepareMs = PREPARE_MS } = this.#options
    const order = (worker: WorkerProcess) => worker.order('prepare', contents, prepareMs)
    const [first] = await Promise.allSettled(one === undefined ? [] : [order(one)])
    if (first === undefined) return []
    if (first.status === 'rejected' && !(first.reason instanceof WorkerLost)) return [first]
    return [first, ...(await Promise.allSettled(others.map(order)))]
  }

  /** As {@link Gateway.retire} says. Workers that end from now on are not replaced. */
  async retire(): Promise<void> {
    this.#draining = true
    await Promise.allSettled([...this.#serving.keys()].map((worker) => worker.order('retire', undefined, COMMIT_MS)))
  }

  /** Has all workers end what they are doing, and end. Resolves with how many requests were cut off. */
  async drain(drainMs: number): Promise<number> {
    this.#draining = true
    clearInterval(this.#pings)
    const drained = await Promise.allSettled(
      [...this.#serving.keys()].map((worker) => worker.order('drain', undefined, drainMs + END_MS)),
    )
    await this.#killAll()
    return drained.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0)
  }

  async #spawn(index: number): Promise<{ readonly port: number }> {
    const { count, file, ticketKeys } = this.#options
    const worker = new WorkerProcess(index)
    this.#workers.set(index, worker)
    this.#relay(worker)
    worker.onLesson = (lesson) => this.#learn(lesson, worker)
    const contents = this.#contents
    const order: StartOrder = {
      file,
      contents,
      share: { index, count },
      ticketKeys,
      lessons: [...this.#lessons.values()],
    }
    let serving = false
    void worker.ended.then((end) => this.#replace(worker, serving ? end : undefined))
    try {
      const { port } = await worker.order('start', order, START_MS)
      serving = true
      this.#serving.set(worker, contents)
      return { port }
    } catch (error) {
      if (error instanceof OperatorError && error.code === NOT_TRIED_AGAIN) this.#givenUp.add(index)
      worker.kill()
      throw error
    }
  }

  /** @param end how it ended; absent for one that never served, of which is told elsewhere */
  async #replace(worker: WorkerProcess, end: WorkerEnd | undefined): Promise<void> {
    const { log } = this.#options
    const { index, pid } = worker
    this.#serving.delete(worker)
    if (this.#draining || this.#givenUp.has(index)) return
    const lived = performance.now() - worker.started
    const quickEnds = lived > SETTLED_MS ? 0 : (this.#quickEnds.get(index) ?? 0)
    this.#quickEnds.set(index, quickEnds + 1)
    if (end !== undefined) {
      log.error('worker_lost', { worker: index, pid, code: end.code ?? undefined, signal: end.signal ?? undefined })
    }
    const delay = quickEnds === 0 ? 0 : Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** (quickEnds - 1))
    await new Promise((resolve) => setTimeout(resolve, delay))
    if (!this.#draining) await this.#startAgain(index)
  }

  async #startAgain(index: number): Promise<void> {
    const { log } = this.#options
    try {
      await this.#spawn(index)
      await this.#bringUpToDate(index)
      log.info('worker_replaced', { worker: index, pid: this.#workers.get(index)?.pid })
    } catch (error) {
      const reason = reasonOf(error)
      const problem =
        reason instanceof OperatorError ? { reason: reason.code, message: reason.message } : describeBug(reason)
      log.error('worker_failed', { worker: index, ...problem })
    }
  }

  /** A worker that started during a reload has what held before it. */
  async #bringUpToDate(index: number): Promise<void> {
    const worker = this.#workers.get(index)
    const contents = this.#contents
    if (worker === undefined || this.#serving.get(worker) === contents) return
    try {
      await worker.order('prepare', contents, PREPARE_MS)
      await this.#commit(worker, contents)
    } catch (error) {
      worker.kill()
      throw error
    }
  }

  async #commit(worker: WorkerProcess, contents: ConfigContents): Promise<void> {
    try {
      await worker.order('commit', undefined, COMMIT_MS)
      this.#serving.set(worker, contents)
    } catch {
      // It must not go on with what the others left behind; its successor starts with what holds now.
      worker.kill()
    }
  }

  #learn(lesson: Lesson, from: WorkerProcess): void {
    if ('issuer' in lesson) {
      const name = `${lesson.issuer} ${lesson.root}`
      if (this.#lessons.has(name)) return
      const [oldest] = this.#lessons.keys()
      if (this.#lessons.size === MAX_LEARNED && oldest !== undefined) this.#lessons.delete(oldest)
      this.#lessons.set(name, lesson)
    }
    for (const worker of this.#workers.values()) if (worker !== from) worker.learn(lesson)
  }

  readonly #unanswered = new WeakMap<WorkerProcess, number>()

  async #ping(): Promise<void> {
    const { pingMs = PING_MS } = this.#options
    const pings = [...this.#serving.keys()].map(async (worker) => {
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
    await this.#away.open((await Promise.all(pings)).flat())
  }

  #relay({ stdout, stderr }: WorkerProcess): void {
    const { log, destination } = this.#options
    for (const [name, stream, own] of [
      ['stdout', stdout, process.stdout],
      ['stderr', stderr, process.stderr],
    ] as const) {
      const isLog = destination === name
      relayLines(stream, (text, lines) => (isLog ? log.relay(text, lines) : own.write(text)))
    }
  }

  async #killAll(): Promise<void> {
    const workers = [...this.#workers.values()]
    const ends = Promise.all(workers.map(({ ended }) => ended))
    for (const worker of workers) worker.kill()
    await ends
  }
}

/** A worker that was lost is the operator's to know, not a bug. */
const reasonOf = (error: unknown): unknown =>
  error instanceof WorkerLost ? new OperatorError('WORKER_LOST', error.message, { transient: true }) : error
