import cluster from 'node:cluster'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { nodeArguments } from '../../../adapters/contract/node-arguments.ts'
import { isLoginRefused } from '../../backends/index.ts'
import type { ConfigContents } from '../../config/make.ts'
import { RefusedLogins, type RefusedLogin } from '../../gateway/refused-logins.ts'
import { describeBug } from '../../telemetry/bug.ts'
import type { RelayLog } from '../../telemetry/log.ts'
import type { MetricSnapshot } from '../../telemetry/snapshot.ts'
import type { ServiceEvents } from '../../telemetry/service-metrics.ts'
import type { Lesson } from '../../tls/lesson.ts'
import { AwayBackends } from './away.ts'
import { Counts } from './counts.ts'
import { Lessons } from './lessons.ts'
import { relayOutput } from './line-relay.ts'
import type { Answers, StartOrder } from './messages.ts'
import { Pings } from './pings.ts'
import { ServingWorkers } from './serving-workers.ts'
import { startAll } from './start-all.ts'
import { StartDelays } from './start-delays.ts'
import { WorkerLost, WorkerProcess, type WorkerEnd } from './worker-process.ts'

/** Milliseconds. During a start a hung HSM is given up after 15 seconds, and the worker serves the others. */
const START_MS = 60_000
/** Milliseconds that a worker may take to end after its requests. */
const END_MS = 3000

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
  readonly #serving: ServingWorkers
  readonly #lessons = new Lessons()
  readonly #away = new AwayBackends()
  readonly #logins = new RefusedLogins()
  readonly #counts = new Counts<WorkerProcess>()
  readonly #delays = new StartDelays()
  /** Workers whose login was refused. They are not started again before a reload. */
  readonly #givenUp = new Set<number>()
  readonly #pings: Pings
  #contents: ConfigContents
  #draining = false

  private constructor(options: WorkerGroupOptions, contents: ConfigContents) {
    this.#options = options
    this.#contents = contents
    this.#serving = new ServingWorkers(options.prepareMs)
    this.#pings = new Pings({
      workers: () => this.#serving.all,
      onAway: (workers) => this.#away.open(workers),
      pingMs: options.pingMs,
    })
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
      // Of two values for one option, V8 takes the last: what the operator wrote.
      execArgv: [...nodeArguments, ...process.execArgv],
      exec: options.exec,
      args: [],
    })
    const group = new WorkerGroup(options, contents)
    try {
      const spawn = (index: number) => group.#spawn(index)
      const port = await startAll(options.count, spawn, (worker) => group.#begin(worker))
      return { group, port }
    } catch (error) {
      group.#draining = true
      group.#pings.stop()
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
    const asked = this.#serving.all.map(async (worker) => {
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
   * @param mayLogIn whether workers whose login was refused are started again, and backends that were given up opened
   * @throws OperatorError of the first worker that refuses
   */
  async reload(contents: ConfigContents, mayLogIn: boolean): Promise<void> {
    const workers = this.#serving.all
    if (workers.length === 0 && mayLogIn && this.#givenUp.size > 0 && !this.#draining) return this.#startFirst(contents)
    const prepared = await this.#serving.prepare(workers, contents).catch((error: unknown) => {
      throw reasonOf(error)
    })
    this.#contents = contents
    await Promise.all(prepared.map((worker) => this.#serving.commit(worker, contents, mayLogIn)))
    if (mayLogIn) this.#away.forget()
    // Workers that began to serve meanwhile were not asked. One that fails is killed, and its successor starts with the
    // configuration in use.
    const late = this.#serving.all.filter((worker) => !workers.includes(worker))
    await Promise.allSettled(late.map((worker) => this.#serving.bringUpToDate(worker, this.#contents)))
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

  /** Like {@link Gateway.retire}. Workers that end from now on are not replaced. */
  async retire(): Promise<void> {
    this.#draining = true
    await this.#serving.retire()
  }

  /**
   * Has all workers finish their requests and end.
   * @returns how many requests were cut off
   */
  async drain(drainMs: number): Promise<number> {
    this.#draining = true
    this.#pings.stop()
    const drained = await Promise.allSettled(
      this.#serving.all.map((worker) => worker.order('drain', undefined, drainMs + END_MS)),
    )
    await this.#killAll()
    return drained.reduce((sum, one) => sum + (one.status === 'fulfilled' ? one.value : 0), 0)
  }

  /** Starts a process, which waits for {@link WorkerGroup.#begin}. */
  #spawn(index: number): WorkerProcess {
    const worker = new WorkerProcess(index)
    this.#workers.set(index, worker)
    relayOutput(worker, this.#options)
    worker.onLesson = (lesson) => this.#learn(lesson, worker)
    worker.onRefused = (refused) => this.#refuse(refused, worker)
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
      logins: this.#logins.memory,
      lessons: this.#lessons.all,
    }
    try {
      const { port } = await worker.order('start', order, START_MS)
      this.#serving.add(worker, contents)
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
    this.#serving.remove(worker)
    this.#counts.forget(worker)
    if (this.#draining || this.#givenUp.has(index)) return
    const delay = this.#delays.after(index, performance.now() - worker.started)
    if (end !== undefined) {
      events.workerLost()
      log.error('worker_lost', { worker: index, pid, code: end.code ?? undefined, signal: end.signal ?? undefined })
    }
    await new Promise((resolve) => setTimeout(resolve, delay))
    if (!this.#draining) await this.#startAgain(index)
  }

  async #startAgain(index: number): Promise<void> {
    const { log } = this.#options
    try {
      const worker = this.#spawn(index)
      await this.#begin(worker)
      await this.#serving.bringUpToDate(worker, this.#contents)
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

  #learn(lesson: Lesson, from: WorkerProcess): void {
    if (!this.#lessons.add(lesson)) return
    for (const worker of this.#workers.values()) if (worker !== from) worker.learn(lesson)
  }

  #refuse(refused: RefusedLogin, from: WorkerProcess): void {
    this.#logins.learn(refused)
    for (const worker of this.#workers.values()) if (worker !== from) worker.refuse(refused)
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
