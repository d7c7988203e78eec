import { execFile } from 'node:child_process'
import { version } from '../base/version.ts'
import { combine } from '../gateway/status.ts'
import type { Log } from '../telemetry/log.ts'
import type { Service } from './service.ts'

export type Managed = Pick<Service, 'port' | 'draining' | 'collect' | 'reload'> & {
  readonly log: Pick<Log, 'warn'>
}

/** Milliseconds. A notification that systemd has not taken by then is given up. */
const SEND_MS = 5000
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'] as const
const RELOAD_FAILED =
  'The last reload failed and the previous configuration is still in use: reload_failed in the log says why.'

/**
 * Reports the gateway's state to systemd as sd_notify(3) describes, if NOTIFY_SOCKET is set. Node.js has no Unix
 * datagram sockets, so systemd-notify(1) sends. No request waits for it.
 */
export class ServiceManager {
  readonly #env: NodeJS.ProcessEnv | undefined
  readonly #watchdogMs: number | undefined
  #sending: Promise<void> = Promise.resolve()
  #service: Managed | undefined
  #failing = false
  #reloadFailed = false

  /** Removes the variables from `own`: no other process of the gateway reports to systemd. */
  constructor(own: NodeJS.ProcessEnv) {
    const [socket, usec, pid] = VARIABLES.map((name) => own[name])
    for (const name of VARIABLES) delete own[name]
    if (socket === undefined) return
    this.#env = { NOTIFY_SOCKET: socket, PATH: own['PATH'] }
    // Half of the time that systemd waits, in milliseconds.
    if (pid === undefined || pid === String(process.pid)) this.#watchdogMs = Number(usec) / 2000 || undefined
  }

  /** Call it once the gateway serves. */
  ready(service: Managed): void {
    this.#service = service
    this.#tell('READY=1', `STATUS=Serving on port ${service.port}.`)
    const watchdogMs = this.#watchdogMs
    if (watchdogMs !== undefined) setInterval(() => void this.#feedWatchdog(service, watchdogMs), watchdogMs).unref()
  }

  /** Has the service reload its configuration. */
  async reload(service: Managed): Promise<void> {
    // systemd would take READY=1 for a service that has started again.
    if (service.draining) return void (await service.reload('SIGHUP'))
    // Microseconds of CLOCK_MONOTONIC. systemd recognises the reload that it requested by them.
    const now = process.hrtime.bigint() / 1000n
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${now}`, 'STATUS=Reloading the configuration.')
    this.#reloadFailed = !(await service.reload('SIGHUP'))
    this.#tell('READY=1', `STATUS=Serving on port ${service.port}.${this.#remark}`)
  }

  /** Resolves when systemd has been told, or cannot be. */
  async stopping(): Promise<void> {
    this.#tell('STOPPING=1', 'STATUS=Finishing running requests.')
    await this.#sending
  }

  /** If no process that serves answers, systemd is told nothing and acts when its patience ends. */
  async #feedWatchdog(service: Managed, patienceMs: number): Promise<void> {
    const answers = await service.collect('status', patienceMs)
    if (answers.length === 0) return
    const { pools } = combine(answers, version)
    const ready = pools.filter((pool) => pool.ready).length
    const status = `STATUS=Serving on port ${service.port}. Pools ready: ${ready} of ${pools.length}.${this.#remark}`
    this.#tell('WATCHDOG=1', ...(service.draining ? [] : [status]))
  }

  get #remark(): string {
    return this.#reloadFailed ? ` ${RELOAD_FAILED}` : ''
  }

  /** Sends one notification after another, so that systemd gets them in order. */
  #tell(...assignments: string[]): void {
    const env = this.#env
    if (env !== undefined) this.#sending = this.#sending.then(() => this.#run(assignments, env))
  }

  #run(assignments: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
    return new Promise((resolve) => {
      execFile('systemd-notify', assignments, { env, timeout: SEND_MS }, (error) => {
        if (error !== null && !this.#failing) {
          // An exit status, the code of the system's error, or neither if it took too long.
          this.#service?.log.warn('systemd_not_told', { what: assignments[0], code: error.code ?? undefined })
        }
        this.#failing = error !== null
        resolve()
      })
    })
  }
}
