import { randomBytes } from 'node:crypto'
import type { GatewayStatus } from './status.ts'
import { AwaitedAdapter } from '../backends/awaited-adapter.ts'
import { openBackend } from '../backends/index.ts'
import { assertReloadable, changedSettings } from '../config/compare.ts'
import { blockListOf } from '../config/networks.ts'
import type { Config } from '../config/schema.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'
import { closeBackends, openGeneration, type Generation, type Surroundings } from './generation.ts'
import { serveHttp } from '../http/server.ts'
import { Examination, inheritProofs } from './pools.ts'
import { whole, type Share } from './share.ts'
import { describeBug, openLog, type Log } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { Listener, type Lesson, type ListenerSettings } from '../tls/listener.ts'
import type { ClientVerdicts } from '../tls/succession.ts'
import { version } from '../base/version.ts'

/** So long a start waits for keys to be looked at: the first requests would have to. */
const EXAMINATION_PATIENCE_MS = 5000
/** How long what one side has sent may be on its way to the other. */
const ON_THE_WAY_MS = 250

/** Another configuration, of which everything is open and ready. One of the two has to be called. */
export interface Prepared {
  /** The settings that differ, by name. */
  readonly changed: readonly string[]
  /** From the next request on it serves. */
  commit(): void
  /** Lets go of what was opened for it. */
  abort(): Promise<void>
}

/** A gateway that serves. */
export interface Gateway {
  /** The port it listens on, which the system chose if the configuration says 0. */
  readonly port: number
  readonly log: Log
  /** The configuration it serves by. */
  readonly config: Config
  readonly requestsUnderWay: number
  readonly metrics: Metrics
  status(): GatewayStatus
  /**
   * Makes everything ready to serve by another configuration, while it serves by the one it has. Rejects with an
   * OperatorError, and then nothing has changed. One at a time.
   */
  prepare(config: Config): Promise<Prepared>
  /** Is told what other processes of the same gateway are to learn of clients. */
  onLesson: ((lesson: Lesson) => void) | undefined
  /** Takes over what another process found out. */
  learn(lesson: Lesson): void
  /**
   * Tries once more to open backends that were away at the start, but for those in `except`. Resolves with the names of
   * those that no other attempt helps.
   */
  openAway(except?: readonly string[]): Promise<readonly string[]>
  /** It is not ready any more, and serves on; each connection ends with its next reply. */
  retire(): void
  /**
   * Retires, takes no new connections, ends those that are idle, waits for requests under way as long as the configuration
   * allows, and lets go of everything. Resolves with how many requests were cut off.
   */
  drain(): Promise<number>
}

export interface GatewayOptions {
  /** This process's part of what the configuration allows. */
  readonly share?: Share
  /** Where the configuration names none, the keys of TLS session tickets; by default random. */
  readonly ticketKeys?: Buffer
  /** Whether the log tells of the start, the end and keys that cannot be used: one of several processes does. */
  readonly announce?: boolean
}

/**
 * Opens everything the configuration names and looks at the keys, then listens. What is away is awaited. Rejects with an OperatorError and then leaves nothing open.
 *
 * @param open how a backend is opened; tests put faults in between
 */
export async function startGateway(config: Config, open = openBackend, options: GatewayOptions = {}): Promise<Gateway> {
  const log = await openLog(config.log)
  let running: RunningGateway | undefined
  const metrics = new Metrics(() => ({
    ...(running?.status() ?? { backends: [], pools: [], connections: { allowed: 0, verified: 0, unverified: 0 } }),
    logLinesDropped: log.dropped,
  }))
  try {
    const surroundings: Surroundings = {
      telemetry: { log, metrics },
      open,
      share: options.share ?? whole,
      clientOf: (socket) => running?.listener.clientOf(socket) ?? { audit: {} },
    }
    const generation = await openGeneration(config, surroundings)
    try {
      running = new RunningGateway(generation, surroundings, options)
      await running.start()
      return running
    } catch (error) {
      await closeBackends(generation)
      throw error
    }
  } catch (error) {
    await log.close()
    throw error
  }
}

/** Tells the log that a gateway serves. */
export function announce(log: Log, { listen, pools }: Config, port: number, workers?: number): void {
  const { host, clientAuth } = listen
  log.info('listening', { version, host, port, pools: pools.length, client_auth: clientAuth, workers })
  if (clientAuth !== 'disabled') return
  log.always('client_auth_disabled', {
    message: 'anyone who reaches this port can wrap and unwrap: development only',
  })
}

class RunningGateway implements Gateway {
  readonly listener: Listener
  readonly log: Log
  readonly metrics: Metrics
  port = 0
  draining = false
  readonly #surroundings: Surroundings
  readonly #announce: boolean
  readonly #ticketKeys: Buffer
  readonly #requests: ReturnType<typeof serveHttp>
  #generation: Generation
  #examination: Examination | undefined
  /** Backends of earlier generations whose last requests are still under way. */
  readonly #retiring = new Set<Promise<void>>()

  constructor(generation: Generation, surroundings: Surroundings, options: GatewayOptions) {
    this.#generation = generation
    this.#surroundings = surroundings
    this.#announce = options.announce ?? true
    this.#ticketKeys = options.ticketKeys ?? randomBytes(TICKET_KEY_BYTES)
    this.log = surroundings.telemetry.log
    this.metrics = surroundings.telemetry.metrics
    const { host, port, clientAuth } = generation.config.listen
    this.listener = new Listener(
      { host, port, clientAuth, log: this.log, events: this.metrics },
      this.#listenerSettings(generation),
    )
    this.#requests = serveHttp(this.listener, () => this.#generation, surroundings.telemetry)
  }

  async start(): Promise<void> {
    const { looked } = this.#examine(this.#generation)
    await orAfter(EXAMINATION_PATIENCE_MS, looked)
    this.port = await this.listener.listen().catch((error: unknown) => {
      this.#examination?.stop()
      throw error
    })
    if (this.#announce) announce(this.log, this.config, this.port)
  }

  async openAway(except: readonly string[] = []): Promise<readonly string[]> {
    const { backends } = this.#generation
    let opened = false
    const givenUp: string[] = []
    for (const [name, { adapter }] of backends) {
      if (!(adapter instanceof AwaitedAdapter) || !adapter.away || except.includes(name)) continue
      await adapter.tryAgain()
      opened ||= !adapter.away
      if (adapter.isGivenUp) givenUp.push(name)
    }
    if (opened && !this.draining) this.#examine(this.#generation)
    return givenUp
  }

  get config(): Config {
    return this.#generation.config
  }

  get requestsUnderWay(): number {
    return this.#requests.underWay
  }

  status(): GatewayStatus {
    const { backends, pools } = this.#generation
    const statuses = pools.map(({ status }) => status)
    return {
      version,
      ready: !this.draining && statuses.some(({ ready }) => ready),
      draining: this.draining,
      requests: this.requestsUnderWay,
      connections: this.listener.connections,
      pools: statuses,
      backends: [...backends.values()].map(({ backend }) => backend.status),
    }
  }

  async prepare(config: Config): Promise<Prepared> {
    const before = this.#generation
    const changed = changedSettings(before.config, config)
    assertReloadable(changed)
    const next = await openGeneration(config, this.#surroundings, before)
    const verdicts = await this.listener.judge(next.trust)
    return {
      changed,
      commit: () => this.#swap(before, next, verdicts),
      abort: () => {
        this.listener.abandon()
        return closeBackends(next, before)
      },
    }
  }

  get onLesson(): Gateway['onLesson'] {
    return this.listener.onLesson
  }
  set onLesson(listener: Gateway['onLesson']) {
    this.listener.onLesson = listener
  }

  learn(lesson: Lesson): void {
    this.listener.learn(lesson)
  }

  retire(): void {
    if (this.draining) return
    this.draining = true
    if (this.#announce) this.log.info('draining', { requests: this.requestsUnderWay })
    this.#requests.endConnections()
  }

  async drain(): Promise<number> {
    this.retire()
    this.#examination?.stop()
    const closed = this.listener.stopAccepting()
    // What a client has sent by now is still answered.
    await orAfter(ON_THE_WAY_MS, closed)
    this.listener.endIdle((socket) => this.#requests.isServing(socket))
    const cutOff = await this.#requests.settled(this.#generation.limits.drainMs)
    await orAfter(ON_THE_WAY_MS, closed)
    this.listener.closeConnections()
    if (this.#announce) this.log.info('stopped', { requests_cut_off: cutOff })
    await closeBackends(this.#generation)
    await Promise.all(this.#retiring)
    await this.log.close()
    return cutOff
  }

  #swap(before: Generation, next: Generation, verdicts: ClientVerdicts): void {
    inheritProofs(next.pools, before.pools)
    const refused = this.listener.renew(this.#listenerSettings(next), verdicts)
    this.#generation = next
    // Their next request would be refused. An idle one is spared it: its client comes back with a handshake.
    for (const socket of refused) if (!this.#requests.isServing(socket)) socket.destroySoon()
    this.#retire(before, next)
    this.#examine(next)
  }

  #examine({ pools }: Generation): Examination {
    this.#examination?.stop()
    this.#examination = new Examination(pools, this.#announce ? this.log : undefined)
    return this.#examination
  }

  /** Lets go of what the next generation does not use, once the requests that use it are done. */
  #retire(before: Generation, next: Generation): void {
    const done = this.#requests
      .passed(Math.max(this.#generation.limits.drainMs, this.#generation.limits.deadlineMs))
      .then(() => closeBackends(before, next))
      .catch((error: unknown) => this.log.error('internal_error', describeBug(error)))
      .finally(() => this.#retiring.delete(done))
    this.#retiring.add(done)
  }

  #listenerSettings({ config, limits, trust }: Generation): ListenerSettings {
    const { tls, ticketKeys, proxyProtocol } = config.listen
    return {
      ...limits,
      proxyProtocol: proxyProtocol.length === 0 ? undefined : blockListOf(proxyProtocol),
      credentials: tls,
      trust,
      ticketKeys: ticketKeys === undefined ? this.#ticketKeys : Buffer.from(ticketKeys.file.reveal()),
    }
  }
}

/** Waits for `done`, at most `patienceMs`. */
async function orAfter(patienceMs: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([done, new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)))])
  clearTimeout(timer)
}
