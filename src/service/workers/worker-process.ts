import cluster, { type Worker } from 'node:cluster'
import type { Readable } from 'node:stream'
import { OperatorError } from '../../../adapters/contract/index.ts'
import type { RefusedLogin } from '../../gateway/refused-logins.ts'
import type { Lesson } from '../../tls/lesson.ts'
import { isOurs, MARK, type Learned, type Orders, type Outcome, type Refused } from './messages.ts'

/** A worker ended or did not answer instead of carrying out an order. */
export class WorkerLost extends Error {
  override readonly name = 'WorkerLost'
}

/** How a worker ended. */
export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
}

interface Waiting {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: Error) => void
}

/** One worker, as the primary sees it. */
export class WorkerProcess {
  readonly index: number
  readonly ended: Promise<WorkerEnd>
  /** Resolves when it takes orders, or has ended. */
  readonly loaded: Promise<unknown>
  readonly started = performance.now()
  /** Called with what the worker learned. */
  onLesson: ((lesson: Lesson) => void) | undefined
  /** Called with a login that was refused to the worker. */
  onRefused: ((refused: RefusedLogin) => void) | undefined
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #hasLoaded: () => void = () => undefined
  #lastId = 0
  /** Messages that wait until the worker listens. */
  #unsent: object[] | undefined = []
  #over = false

  constructor(index: number) {
    this.index = index
    this.#worker = cluster.fork()
    this.#worker.on('message', (message: unknown) => this.#receive(message))
    // The end of the worker reports a broken channel.
    this.#worker.on('error', () => undefined)
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code: number | null, signal: string | null) => {
        this.#over = true
        for (const { reject } of this.#waiting.values()) reject(new WorkerLost('the worker ended'))
        this.#waiting.clear()
        resolve({ code, signal })
      })
    })
    const listens = new Promise<void>((resolve) => (this.#hasLoaded = resolve))
    this.loaded = Promise.race([listens, this.ended])
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  get stdout(): Readable | null {
    return this.#worker.process.stdout
  }

  get stderr(): Readable | null {
    return this.#worker.process.stderr
  }

  /**
   * Gives an order.
   * @throws the OperatorError of the worker; {@link WorkerLost} if it ends or `patienceMs` milliseconds pass; another
   *   error for a bug, which the worker logs
   */
  order<Name extends keyof Orders>(
    order: Name,
    body: Orders[Name]['body'],
    patienceMs: number,
  ): Promise<Orders[Name]['result']> {
    if (this.#over) return Promise.reject(new WorkerLost('the worker ended'))
    const id = (this.#lastId += 1)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new WorkerLost('the worker did not answer'))
      }, patienceMs)
      this.#waiting.set(id, {
        resolve: (result) => {
          clearTimeout(timer)
          resolve(result as Orders[Name]['result'])
        },
        reject: (error) => {
          clearTimeout(timer)
          reject(error)
        },
      })
      this.#send({ mark: MARK, id, order, body })
    })
  }

  learn(lesson: Lesson): void {
    this.#send({ mark: MARK, lesson })
  }

  refuse(refused: RefusedLogin): void {
    this.#send({ mark: MARK, refused })
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL')
  }

  #send(message: object): void {
    if (this.#unsent !== undefined) this.#unsent.push(message)
    else if (this.#worker.isConnected()) this.#worker.process.send(message, undefined, undefined, () => undefined)
  }

  #receive(message: unknown): void {
    if (!isOurs(message)) return
    if ('ready' in message) {
      const unsent = this.#unsent ?? []
      this.#unsent = undefined
      this.#hasLoaded()
      for (const order of unsent) this.#send(order)
      return
    }
    if ('lesson' in message) return this.onLesson?.((message as Learned).lesson)
    if ('refused' in message) return this.onRefused?.((message as Refused).refused)
    const outcome = message as Outcome
    const waiting = this.#waiting.get(outcome.id)
    this.#waiting.delete(outcome.id)
    if ('result' in outcome) return waiting?.resolve(outcome.result)
    const { operator } = outcome.failure
    waiting?.reject(
      operator ? new OperatorError(operator.code, operator.message, operator) : new Error('a worker failed'),
    )
  }
}
