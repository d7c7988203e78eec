import { randomBytes } from 'node:crypto'
import type { GatewayStatus } from './status.ts'
import { AwaitedAdapter } from '../backends/awaited-adapter.ts'
import { assertReloadable, changedSettings } from '../config/compare.ts'
import { blockListOf } from '../config/networks.ts'
import type { Config } from '../config/schema.ts'
import { TICKET_KEY_BYTES } from '../config/ticket-keys.ts'
import { announce } from './announce.ts'
import { ClientCertificates } from './client-certificates.ts'
import type { Gateway, GatewayOptions, Prepared } from './gateway.ts'
import { closeBackends, openGeneration, type Generation, type Surroundings } from './generation.ts'
import { serveHttp } from '../http/server.ts'
import { Examination, inheritProofs, listedKeys } from './pools.ts'
import { backendReport, poolReport, type ProcessReport } from './report.ts'
import { describeBug } from '../telemetry/bug.ts'
import type { Log } from '../telemetry/log.ts'
import type { Observed } from '../telemetry/gauges.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Lesson } from '../tls/lesson.ts'
import { Listener, type ListenerSettings } from '../tls/listener.ts'
import type { ClientVerdicts } from '../tls/succession.ts'
import { inTurns } from '../base/turns.ts'
import { version } from '../base/version.ts'

/** Milliseconds that a start waits for the examination of keys. Without it, the first requests would wait. */
const EXAMINATION_PATIENCE_MS = 5000
/** Milliseconds that data may be on its way between the two sides. */
const ON_THE_WAY_MS = 250

/** A gateway on one generation after the other. `start.ts` makes it. */
export class RunningGateway implements Gateway {
  readonly listener: Listener
  readonly log: Log
  readonly metrics: Metrics
  port = 0
  draining = false
  readonly #surroundings: Surroundings
  readonly #announce: boolean
  readonly #ticketKeys: Buffer
  readonly #requests: ReturnType<typeof serveHttp>
  readonly #clientCertificates = new ClientCertificates()
  #generation: Generation
  #examination: Examination | undefined
  /** Backends of earlier generations whose last requests are still running. */
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
      {
        host,
        port,
        clientAuth,
        log: this.log,
        events: this.metrics,
        onAllowed: (client, end) => this.#clientCertificates.seen(client, end, this.#generation.pools),
      },
      this.#listenerSettings(generation),
    )
    this.#requests = serveHttp(this.listener, () => this.#generation, surroundings.telemetry)
    this.metrics.follow(namesOf(generation.config))
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

  reconsiderAway(): void {
    for (const { adapter } of this.#generation.backends.values()) {
      if (adapter instanceof AwaitedAdapter) adapter.reconsider()
    }
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

  async report(): Promise<ProcessReport> {
    const { backends, pools } = this.#generation
    const clients = this.#clientCertificates.daysLeft(Date.now())
    return {
      pid: process.pid,
      since: Date.now() - Math.round(process.uptime() * 1000),
      memoryBytes: process.memoryUsage.rss(),
      requests: this.requestsUnderWay,
      connections: this.listener.connections,
      draining: this.draining,
      logLinesLost: this.log.lost,
      pools: await inTurns(pools, (pool) => poolReport(pool, clients)),
      backends: [...backends.values()].map((open) => backendReport(open, this.#surroundings.events)),
    }
  }

  /** The values of the gauges. */
  observe(): Omit<Observed, 'logLinesLost'> {
    return {
      ...this.status(),
      keys: listedKeys(this.#generation.pools),
      clients: this.#clientCertificates.daysLeft(Date.now()),
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
    // Requests that a client has sent by now are still answered.
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
    this.metrics.follow(namesOf(next.config))
    this.#clientCertificates.follow(next.pools)
    this.#surroundings.events.follow([...next.backends.keys()])
    // Their next request would be refused. An idle connection is closed now, so its client comes back with a handshake
    // instead.
    for (const socket of refused) if (!this.#requests.isServing(socket)) socket.destroySoon()
    this.#retire(before, next)
    this.#examine(next)
  }

  #examine({ pools }: Generation): Examination {
    this.#examination?.stop()
    // Several processes examine the same keys, but only one reports.
    this.#examination = new Examination(pools, this.#surroundings.share.index === 0 ? this.log : undefined)
    return this.#examination
  }

  /** Closes what the next generation does not use, after the requests that use it have ended. */
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

const namesOf = ({ pools, backends }: Config) => ({
  pools: pools.map(({ name }) => name),
  backends: Object.keys(backends),
})

/** Waits for `done`, at most `patienceMs` milliseconds. */
async function orAfter(patienceMs: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([done, new Promise<void>((resolve) => (timer = setTimeout(resolve, patienceMs)))])
  clearTimeout(timer)
}
