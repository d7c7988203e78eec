import cluster from 'node:cluster'
import { OperatorError } from '../../../adapters/contract/index.ts'
import { openBackend } from '../../backends/index.ts'
import { loadConfigFrom } from '../../config/load.ts'
import { startGateway, type Gateway, type Prepared } from '../../gateway/gateway.ts'
import { describeBug } from '../../telemetry/log.ts'
import { answers, isOurs, MARK, type Learned, type Order, type Orders, type Outcome, type Ready } from './messages.ts'

/**
 * Serves as one of several processes, as the primary says, until it says otherwise or is gone.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export function runWorker(open = openBackend): Promise<never> {
  // A signal to the whole group, such as Ctrl-C, is the primary's to act on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  // Otherwise Node.js ends the process the moment the primary is gone, with requests under way.
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
  #prepared: Prepared | undefined
  /** Orders are carried out one after the other. Others do not wait for a backend that takes its time, and nothing waits for them. */
  #orders: Promise<unknown> = Promise.resolve()

  constructor(open: typeof openBackend) {
    this.#open = open
  }

  async receive(message: unknown): Promise<void> {
    if (!isOurs(message)) return
    if ('lesson' in message) return this.#gateway?.learn((message as Learned).lesson)
    const { id, order, body } = message as Order
    const handle = () => (this.#handlers[order] as (body: unknown) => Promise<unknown>)(body)
    const atOnce = order === 'answer' || order === 'open' || order === 'retire'
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
    await this.#gateway?.drain()
    process.exit(0)
  }

  readonly #handlers: Handlers = {
    start: async ({ file, contents, share, ticketKeys, lessons }) => {
      this.#file = file
      const config = loadConfigFrom(file, contents, process.env)
      const gateway = await startGateway(config, this.#open, {
        share,
        ticketKeys: Buffer.from(ticketKeys),
        announce: false,
      })
      this.#gateway = gateway
      for (const lesson of lessons) gateway.learn(lesson)
      gateway.onLesson = (lesson) => send({ mark: MARK, lesson })
      return { port: gateway.port }
    },
    prepare: async (contents) => {
      await this.#prepared?.abort()
      this.#prepared = await this.#running.prepare(loadConfigFrom(this.#file, contents, process.env))
      return this.#prepared.changed
    },
    commit: async () => {
      const prepared = this.#prepared
      this.#prepared = undefined
      prepared?.commit()
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
    drain: async () => this.#gateway?.drain() ?? 0,
  }

  get #running(): Gateway {
    if (this.#gateway === undefined) throw new Error('the worker was not started')
    return this.#gateway
  }
}

const operatorOf = ({ code, message, transient }: OperatorError) => ({ code, message, transient })

function send(message: Outcome | Learned | Ready): void {
  // Where the primary is gone, nobody is left to tell.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}
