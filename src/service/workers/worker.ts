import cluster from 'node:cluster'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { openBackend } from '../../backends/index.ts'
import { nextTurn } from '../../base/turns.ts'
import { makeConfigFrom } from '../../config/make.ts'
import type { Gateway, Prepared } from '../../gateway/gateway.ts'
import { startGateway } from '../../gateway/start.ts'
import { RefusedLogins } from '../../gateway/refused-logins.ts'
import { describeBug } from '../../telemetry/bug.ts'
import {
  answers,
  isOurs,
  MARK,
  type Learned,
  type Order,
  type Orders,
  type Outcome,
  type Ready,
  type Refused,
} from './messages.ts'

/**
 * Serves as one of several processes, as the primary orders, until the primary ends it or is gone.
 *
 * @param open how a backend is opened; tests inject faults
 */
export function runWorker(open = openBackend): Promise<never> {
  // The primary handles a signal to the whole group, such as Ctrl-C.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  // Otherwise Node.js ends the process as soon as the primary is gone, in the middle of requests.
  if (cluster.worker) cluster.worker.exitedAfterDisconnect = true
  const worker = new Worker(open)
  process.on('message', (message: unknown) => void worker.receive(message))
  process.on('disconnect', () => void worker.end())
  send({ mark: MARK, ready: true })
  return new Promise(() => undefined)
}

type Handlers = { readonly [Name in keyof Orders]: (body: Orders[Name]['body']) => Promise<Orders[Name]['result']> }

class Worker {
  readonly #open: typeof openBackend
  #gateway: Gateway | undefined
  #file = ''
  #logins: RefusedLogins | undefined
  #prepared: Prepared | undefined
  #isDraining = false
  /**
   * These orders are carried out one after another. Other orders do not wait for a slow backend, and nothing waits for
   * them.
   */
  #orders: Promise<unknown> = Promise.resolve()

  constructor(open: typeof openBackend) {
    this.#open = open
  }

  async receive(message: unknown): Promise<void> {
    if (!isOurs(message)) return
    if ('lesson' in message) return this.#gateway?.learn((message as Learned).lesson)
    if ('refused' in message) return this.#logins?.learn((message as Refused).refused)
    const { id, order, body } = message as Order
    const handle = () => (this.#handlers[order] as (body: unknown) => Promise<unknown>)(body)
    const atOnce = order === 'answer' || order === 'open' || order === 'retire' || order === 'drain'
    const done = atOnce ? handle() : this.#orders.then(handle)
    if (!atOnce) this.#orders = done.catch(() => undefined)
    await done.then(
      (result) => send({ mark: MARK, id, result }),
      (error: unknown) => {
        const operator = error instanceof OperatorError ? operatorOf(error) : undefined
        if (operator === undefined) this.#gateway?.log.error('internal_error', describeBug(error))
        send({ mark: MARK, id, failure: operator === undefined ? {} : { operator } })
      },
    )
  }

  async end(): Promise<void> {
    this.#isDraining = true
    await this.#gateway?.drain()
    process.exit(0)
  }

  readonly #handlers: Handlers = {
    start: async ({ file, contents, share, ticketKeys, logins, lessons }) => {
      this.#file = file
      this.#logins = new RefusedLogins(logins)
      this.#logins.onRefused = (refused) => send({ mark: MARK, refused })
      const config = makeConfigFrom(file, contents, process.env)
      const gateway = await startGateway(config, this.#open, {
        share,
        ticketKeys: Buffer.from(ticketKeys),
        announce: false,
        logins: this.#logins,
      })
      this.#gateway = gateway
      for (const lesson of lessons) gateway.learn(lesson)
      gateway.onLesson = (lesson) => send({ mark: MARK, lesson })
      return { port: gateway.port }
    },
    prepare: async (contents) => {
      await this.#prepared?.abort()
      const config = makeConfigFrom(this.#file, contents, process.env)
      // Each of the two takes milliseconds, so requests are served in between.
      await nextTurn()
      this.#prepared = await this.#running.prepare(config)
      return this.#prepared.changed
    },
    commit: async (isAboutBackends) => {
      const prepared = this.#prepared
      this.#prepared = undefined
      if (this.#isDraining) await prepared?.abort()
      else {
        prepared?.commit()
        if (isAboutBackends) this.#running.reconsiderAway()
      }
      return undefined
    },
    abort: async () => {
      const prepared = this.#prepared
      this.#prepared = undefined
      await prepared?.abort()
      return undefined
    },
    answer: async (question) => answers[question](this.#running),
    open: (except) => this.#running.openAway(except),
    retire: async () => {
      this.#gateway?.retire()
      return undefined
    },
    drain: async () => {
      this.#isDraining = true
      return this.#gateway?.drain() ?? 0
    },
  }

  get #running(): Gateway {
    if (this.#gateway === undefined) throw new Error('the worker was not started')
    return this.#gateway
  }
}

const operatorOf = ({ code, message, transient }: OperatorError) => ({ code, message, transient })

function send(message: Outcome | Learned | Refused | Ready): void {
  // If the primary is gone, nobody is left to tell.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}
