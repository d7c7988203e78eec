import cluster from 'node:cluster'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { withoutInspector } from '../../../adapters/contract/no-inspector.ts'
import { isLoginRefused } from '../../backends/index.ts'
import type { ConfigContents } from '../../config/make.ts'
import { describeBug } from '../../telemetry/bug.ts'
import type { RelayLog } from '../../telemetry/log.ts'
import type { MetricSnapshot } from '../../telemetry/snapshot.ts'
import type { ServiceEvents } from '../../telemetry/service-metrics.ts'
import type { Lesson } from '../../tls/listener.ts'
import { AwayBackends } from './away.ts'
import { Counts } from './counts.ts'
import { relayLines } from './line-relay.ts'
import type { Answers, StartOrder } from './messages.ts'
import { WorkerLost, WorkerProcess, type WorkerEnd } from './worker-process.ts'

/** Milliseconds. During a start a hung HSM is given up after 15 seconds, and the worker serves the others. */
const START_MS = 60_000
/** Milliseconds. Opening an HSM takes seconds; after this time something hangs. */
const PREPARE_MS = 30_000
const COMMIT_MS = 10_000
/** Milliseconds. A worker that answers none of five questions in a row hangs. */
const PING_MS = 2000
const MAX_UNANSWERED = 5
/** Milliseconds. A worker that lived this long did not die of its start, and its successor starts without delay. */
const SETTLED_MS = 10_000
const BACKOFF_MS = { first: 100, most: 10_000 } as const
/** Milliseconds that a worker may take to end after its requests. */
const END_MS = 3000
const MAX_LEARNED = 1000

export interface WorkerGroupOptions {
  readonly count: number
  readonly file: string
  readonly log: RelayLog
  readonly events: Pick<ServiceEvents, 'workerLost' | 'loginRefused'>
  /** The destination of the log. It decides whether what workers print there is a log line. */
  readonly destination: string
  readonly ticketKeys: Buffer
  /** The program that calls {@link runWorker}. */
  readonly exec: string
  readonly prepareMs?: number
  readonly pingMs?: number
}

/** The processes that serve, and what the primary knows of them. The primary itself serves no request. */
export class WorkerGroup {
  readonly #options: WorkerGroupOptions
  readonly #workers = new Map<number, WorkerProcess>()
  /** The workers that serve, with the configuration that each serves by. */
  readonly #serving = new Map<WorkerProcess, ConfigContents>()
  /** Lessons of workers that stay true: issuing CAs. */
  readonly #lessons = new Map<string, Lesson>()
  readonly #away = new AwayBackends()
  readonly #counts = new Counts<WorkerProcess>()
  readonly #quickEnds = new Map<number, number>()
  /** Workers whose login was refused. They are not started again before a reload. */
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
   * Has the first worker serve, because what is wrong with it is wrong with all, and then the others.
   * @returns the port that they share
   * @throws OperatorError of the first worker, and no worker is left
   */
  static async start(
    options: WorkerGroupOptions,
    contents: ConfigContents,
  ): Promise<{ group: WorkerGroup; port: number }> {
    cluster.setupPrimary({
      serialization: 'advanced',
      silent: true,
      execArgv: [...process.execArgv, ...withoutInspector],
      exec: options.exec,
      args: [],
    })
    const group = new WorkerGroup(options, contents)
    try {
      // All processes load their modules at the same time.
      const workers = Array.from({ length: options.count }, (_, index) => group.#spawn(index))
      const [first, ...others] = workers as [WorkerProcess, ...WorkerProcess[]]
      const port = await group.#begin(first)
      await Promise.all(others.map((worker) => group.#begin(worker)))
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

  /**
   * Asks every worker that serves. A worker that does not answer in time is left out; its earlier counts still count.
   */
  async collect<Question extends keyof Answers>(question: Question, patienceMs: number): Promise<Answers[Question][]> {
    const answers = new Map<WorkerProcess, Answers[Question]>()
    const asked = [...this.#serving.keys()].map(async (worker) => {
      const answer = await worker.order('answer', question, patienceMs)
      // A worker that has ended meanwhile would be counted twice.
      if (this.#serving.has(worker)) answers.set(worker, answer as Answers[Question])
    })
    await Promise.allSettled(asked)
    if (question !== 'metrics') return [...answers.values()]
    return this.#counts.merge(answers as ReadonlyMap<WorkerProcess, MetricSnapshot>) as Answers[Question][]
  }

  /**
   * Switches all workers to another configuration, or none. A worker that dies meanwhile does not count: its successor
   * starts with the configuration that is then in use.
   *
   * @param mayLogIn whether workers whose login was refused are started again
   * @throws OperatorError of the first worker that refuses
   */
  async reload(contents: ConfigContents, mayLogIn: boolean): Promise<void> {
    const workers = [...this.#serving.keys()]
    if (workers.length === 0 && mayLogIn && this.#givenUp.size > 0 && !this.#draining) return this.#startFirst(contents)
    const prepared = await this.#prepare(workers, contents)
    const alive = workers.filter((worker) => this.#serving.has(worker))
    const problem = prepared.find(
      (outcome, index) => outcome.status === 'rejected' && alive.includes(workers[index] as WorkerProcess),
    )
    const first = prepared.find((outcome) => outcome.status === 'fulfilled')
    if (problem?.status === 'rejected' || first === undefined) {
      // A worker that cannot even abort hangs in the backend that it opened.
      for (const worker of alive) void worker.order('abort', undefined, COMMIT_MS).catch(() => worker.kill())
      throw reasonOf(problem?.status === 'rejected' ? problem.reason : new WorkerLost('no worker is left'))
    }
    this.#contents = contents
    if (mayLogIn) this.#away.forget()
    await Promise.all(alive.map((worker) => this.#commit(worker, contents)))
    // Workers that began to serve meanwhile were not asked. One that fails is killed, and its successor starts with the
    // configuration in use.
    const late = [...this.#serving.keys()].filter((worker) => !workers.includes(worker))
    await Promise.allSettled(late.map(({ index }) => this.#bringUpToDate(index)))
    if (mayLogIn && !this.#draining) void this.#startGivenUp()
  }

  /**
   * Starts a worker with another configuration where the login of all was refused, and then the others.
   * @throws OperatorError of the worker, and the former configuration stays
   */
  async #startFirst(contents: ConfigContents): Promise<void> {
    const [index] = this.#givenUp
    if (index === undefined) return
    const before = this.#contents
    this.#contents = contents
    try {
      await this.#begin(this.#spawn(index))
    } catch (error) {
      this.#contents = before
      throw reasonOf(error)
    }
    this.#givenUp.delete(index)
    this.#tellReplaced(index)
    this.#away.forget()
    void this.#startGivenUp()
  }

  /** One after the other until one is refused, because a few wrong PINs lock the token. */
  async #startGivenUp(): Promise<void> {
    for (const index of [...this.#givenUp]) {
      this.#givenUp.delete(index)
      await this.#startAgain(index)
      if (this.#givenUp.has(index)) return
    }
  }

  /** Asks the first worker alone, as at the start, so that a wrong PIN is tried once. */
  async #prepare([one, ...others]: readonly WorkerProcess[], contents: ConfigContents) {
    const { prepareMs = PREPARE_MS } = this.#options
    const order = (worker: WorkerProcess) => worker.order('prepare', contents, prepareMs)
    const [first] = await Promise.allSettled(one === undefined ? [] : [order(one)])
    if (first === undefined) return []
    if (first.status === 'rejected' && !(first.reason instanceof WorkerLost)) return [first]
    return [first, ...(await Promise.allSettled(others.map(order)))]
  }

  /** Like {@link Gateway.retire}. Workers that end from now on are not replaced. */
  async retire(): Promise<void> {
    this.#draining = true
    await Promise.allSettled([...this.#serving.keys()].map((worker) => worker.order('retire', undefined, COMMIT_MS)))
  }

  /**
   * Has all workers finish their requests and end.
   * @returns how many requests were cut off
   */
  async drain(drainMs: number): Promise<number> {
    this.#draining = true
    clearInterval(this.#pings)
    const drained = await Promise.allSettled(
      [...this.#serving.keys()].map((worker) => worker.order('drain', undefined, drainMs + END_MS)),
    )
    await this.#killAll()
    return drained.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0)
  }

  /** Starts a process, which waits for {@link WorkerGroup.#begin}. */
  #spawn(index: number): WorkerProcess {
    const worker = new WorkerProcess(index)
    this.#workers.set(index, worker)
    this.#relay(worker)
    worker.onLesson = (lesson) => this.#learn(lesson, worker)
    void worker.ended.then((end) => this.#replace(worker, this.#serving.has(worker) ? end : undefined))
    return worker
  }

  /**
   * Has a worker serve.
   * @returns its port
   */
  async #begin(worker: WorkerProcess): Promise<number> {
    const { count, file, ticketKeys } = this.#options
    const { index } = worker
    const contents = this.#contents
    const order: StartOrder = {
      file,
      contents,
      share: { index, count },
      ticketKeys,
      lessons: [...this.#lessons.values()],
    }
    try {
      const { port } = await worker.order('start', order, START_MS)
      this.#serving.set(worker, contents)
      return port
    } catch (error) {
      // One successor after the other would try it again, which could lock the account.
      if (error instanceof OperatorError && isLoginRefused(error.code)) {
        this.#givenUp.add(index)
        this.#options.events.loginRefused()
      }
      worker.kill()
      throw error
    }
  }

  /** @param end how the worker ended; undefined if it never served, because its failed start is logged elsewhere */
  async #replace(worker: WorkerProcess, end: WorkerEnd | undefined): Promise<void> {
    const { log, events } = this.#options
    const { index, pid } = worker
    this.#serving.delete(worker)
    this.#counts.forget(worker)
    if (this.#draining || this.#givenUp.has(index)) return
    const lived = performance.now() - worker.started
    const quickEnds = lived > SETTLED_MS ? 0 : (this.#quickEnds.get(index) ?? 0)
    this.#quickEnds.set(index, quickEnds + 1)
    if (end !== undefined) {
      events.workerLost()
      log.error('worker_lost', { worker: index, pid, code: end.code ?? undefined, signal: end.signal ?? undefined })
    }
    const delay = quickEnds === 0 ? 0 : Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** (quickEnds - 1))
    await new Promise((resolve) => setTimeout(resolve, delay))
    if (!this.#draining) await this.#startAgain(index)
  }

  async #startAgain(index: number): Promise<void> {
    const { log } = this.#options
    try {
      await this.#begin(this.#spawn(index))
      await this.#bringUpToDate(index)
      this.#tellReplaced(index)
    } catch (error) {
      const reason = reasonOf(error)
      const problem =
        reason instanceof OperatorError ? { reason: reason.code, message: reason.message } : describeBug(reason)
      log.error('worker_failed', { worker: index, ...problem })
    }
  }

  #tellReplaced(index: number): void {
    this.#options.log.info('worker_replaced', { worker: index, pid: this.#workers.get(index)?.pid })
  }

  /** A worker that started during a reload has the former configuration. */
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
      // It must not keep serving by the former configuration. Its successor starts with the one in use.
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

/** A lost worker is for the operator to know, not a bug. */
const reasonOf = (error: unknown): unknown =>
  error instanceof WorkerLost ? new OperatorError('WORKER_LOST', error.message, { transient: true }) : error
