import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, OperatorError, type Report, type Secret } from '../../contract/index.ts'
import { ckrName, ckrRow } from '../ckr-table.ts'
import type { OpenMessage, TokenFacts } from '../host-protocol.ts'
import { remedyFor } from '../remedy.ts'
import { TokenError } from '../token-error.ts'
import { Host } from './host.ts'
import type { Job } from './job.ts'
import { hostEnvironment } from './host-process.ts'
import { HostStarter } from './host-starter.ts'
import { Logins } from './logins.ts'
import { MemoryWatch } from './memory-watch.ts'

/** C_Initialize and C_Login of a network HSM may take seconds. */
const OPEN_TIMEOUT_MS = 15_000
/** Between attempts to open the token, doubling. The upper end bounds how long a token that is back goes unnoticed. */
const RETRY_MS = { min: 100, max: 1000 }

/** How often the hosts are asked how much memory they have. */
const WEIGH_MS = 5000

/** SoftHSM 2.6.1 shows no token, or fails with CKR_GENERAL_ERROR, to a process that starts while another logs in. */
const FIRST_ATTEMPTS = 5
/** Not a module that hangs or crashes: that takes its time, and is the same again. */
const mayPass = (error: unknown): boolean =>
  error instanceof OperatorError
    ? error.code === 'TOKEN_NOT_FOUND'
    : error instanceof TokenError && error.detail !== undefined

/** The token, or what the module needs to reach it, is not there or not well; a module that hangs or crashes may be at a loss. */
const isAway = (error: unknown): boolean =>
  error instanceof TokenError &&
  (error.detail === undefined || ['BACKEND_UNAVAILABLE', 'BACKEND_BUSY'].includes(ckrRow(error.detail).error))

export interface HostSettings {
  readonly open: Omit<OpenMessage, 'pin'>
  readonly pin: Secret | undefined
}

/** What the hosts and their keeper tell the pool. */
export interface PoolEvents {
  /** A call was answered by a `CK_RV` other than CKR_OK; the pool decides what becomes of it. */
  failed(host: Host, job: Job, ckr: number): void
  /** The token of `host` shows none of the keys that it had. */
  vanished(host: Host, job: Job): void
  /** A call has had its share of its host's time and is not done. */
  unfinished(job: Job): void
  /** A host is gone, and its calls are the pool's to take. */
  lost(host: Host, why: string): void
  /** There may be room for another call, or no host left that could take one. */
  idle(): void
}

/**
 * Keeps as many hosts open as sessions are wanted. One host at a time logs in, at most, so that a PIN that was changed
 * is tried once and not once a session.
 */
export class HostKeeper {
  readonly hosts = new Set<Host>()
  readonly #settings: HostSettings
  readonly #events: PoolEvents
  readonly #report: Report
  readonly #logins: Logins
  #size = 1
  /** Attempts to open the token, and hosts lost right after it, since all was well. */
  #failures = 0
  #lastFailure = 'unknown'
  /** The token was found to use no key; that it can be opened does not say that it is back. */
  #isSick = false
  #facts: TokenFacts | undefined
  #generation = 0
  #retry: NodeJS.Timeout | undefined
  #closed = false
  readonly #starter = new HostStarter()
  readonly #memory = new MemoryWatch()
  readonly #weighing: NodeJS.Timeout

  constructor(settings: HostSettings, events: PoolEvents, report: Report) {
    this.#settings = settings
    this.#events = events
    this.#report = report
    this.#logins = new Logins(settings.pin, report)
    this.#weighing = setInterval(() => void this.#replaceOutgrown(), WEIGH_MS)
    this.#weighing.unref()
  }

  /** The token as it was last opened. */
  get token(): TokenFacts {
    if (this.#facts === undefined) throw new Error('the token is not open')
    return this.#facts
  }

  /** Changes when another token, or the same one initialised again, was opened. */
  get generation(): number {
    return this.#generation
  }

  /** Why a call need not wait for a host: none serves, and the last attempt to have one failed. */
  get downBecause(): TokenError | undefined {
    for (const { state } of this.hosts) if (state === 'ready' || state === 'recovering') return undefined
    if (this.#logins.refused) return this.#logins.refused
    return this.#failures === 0 ? undefined : TokenError.unavailable(`the HSM cannot be used: ${this.#lastFailure}`)
  }

  /** The first host of all. Rejects with an {@link OperatorError} where an operator must act. */
  async openFirst(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const host = this.#newHost()
      try {
        return await this.#open(host)
      } catch (error) {
        this.hosts.delete(host)
        await host.kill()
        if (this.#logins.refused || attempt === FIRST_ATTEMPTS || !mayPass(error)) throw this.#forOperator(error)
        await sleep(RETRY_MS.min * 2 ** attempt * Math.random())
      }
    }
  }

  #forOperator(error: unknown): OperatorError {
    if (error instanceof OperatorError) return error
    const message = error instanceof Error ? error.message : 'unknown'
    if (this.#logins.refused) return new OperatorError('LOGIN_REFUSED', `${message}: check the PIN before another try`)
    const answered = error instanceof TokenError && error.detail !== undefined
    const remedy = answered ? `; ${remedyFor(this.#settings.open.module)}` : ''
    const reason = `the token cannot be opened: ${message}${remedy}`
    return new OperatorError('TOKEN_UNUSABLE', reason, { transient: isAway(error) })
  }

  /** Puts a new host in the place of each, without a gap: it sees the token as it is now. */
  renew(): void {
    for (const host of this.hosts) if (host.state === 'ready') host.outdated = 'token'
    this.keepUp()
  }

  /** Lets go of outdated hosts that are idle, once there are others in their place. */
  retire(): void {
    for (const host of this.hosts) {
      if (host.load > 0 || !this.isRelieved(host)) continue
      this.hosts.delete(host)
      void host.kill()
    }
  }

  /** Whether calls need not be given to `host` any more. */
  isRelieved({ outdated }: Host): boolean {
    return outdated !== undefined && this.#successors() >= (outdated === 'token' ? 1 : this.#size)
  }

  /** How many hosts serve that are not outdated. */
  #successors(): number {
    return [...this.hosts].filter(({ outdated, state }) => outdated === undefined && state === 'ready').length
  }

  grow(size: number): void {
    this.#size = size
    this.keepUp()
  }

  /** A fresh session for `host`; where there is none to be had, the host is given up. */
  async reopen(host: Host, ckr: number): Promise<void> {
    host.state = 'recovering'
    const timer = setTimeout(() => this.lost(host, 'the module did not log in in time', true), OPEN_TIMEOUT_MS)
    try {
      await this.#logins.run((pin) => host.reopen(pin))
      if (host.state === 'recovering') host.state = 'ready'
      this.#report('warn', 'hsm_session_reopened', { pid: host.pid, cause: ckrName(ckr) })
    } catch (error) {
      this.lost(host, `the session was lost: ${error instanceof Error ? error.message : ckrName(ckr)}`, true)
    } finally {
      clearTimeout(timer)
    }
  }

  /** The token of `host` is not well. That is told once, until a key has worked. */
  giveUp(host: Host, why: string): void {
    const isKnown = this.#isSick
    this.#isSick = true
    this.#lose(host, why, false, isKnown)
  }

  /** A key has just worked. */
  worked(): void {
    if (!this.#isSick) return
    this.#isSick = false
    this.#reportBack(this.token)
  }

  /** Forgets a host, ends its process, and sees to it that there is another. */
  lost(host: Host, why: string, failed = false): void {
    this.#lose(host, why, failed, false)
  }

  #lose(host: Host, why: string, failed: boolean, isKnown: boolean): void {
    if (!this.hosts.delete(host)) return
    const young = performance.now() - host.readyAt < RETRY_MS.max
    if (host.readyAt > 0 && !isKnown) this.#report('error', 'hsm_host_lost', { pid: host.pid, reason: why })
    void host.kill()
    this.#failures = failed || host.readyAt === 0 || young ? this.#failures + 1 : 0
    this.#lastFailure = why
    if (host.readyAt === 0) this.#keepOutgrown()
    this.#events.lost(host, why)
    this.keepUp()
  }

  refuseLogin(ckr: number): TokenError {
    return this.#logins.refuse(ckr)
  }

  /** Opens the next host that is missing, after a while where the last attempts failed. */
  keepUp(): void {
    this.#events.idle()
    if (this.#closed || this.#logins.refused || this.#retry) return
    let current = 0
    for (const { state, outdated } of this.hosts) {
      if (state === 'opening') return
      if (outdated === undefined) current += 1
    }
    if (current >= this.#size) return
    const delay = this.#failures === 0 ? 0 : Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** (this.#failures - 1))
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      const host = this.#newHost()
      this.#open(host).catch((error: unknown) => {
        this.lost(host, error instanceof Error ? error.message : 'unknown')
      })
    }, delay)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    clearInterval(this.#weighing)
    const hosts = [...this.hosts]
    this.hosts.clear()
    const ends = hosts.map((host) => host.close())
    for (const host of hosts) host.abandon(new AdapterError('CLOSED', 'the adapter is closed'))
    await Promise.all(ends)
    this.#starter.close()
  }

  /** One at a time, so that only one session more than is wanted is open. */
  async #replaceOutgrown(): Promise<void> {
    for (const host of this.hosts) {
      for (const { state, outdated } of this.hosts) if (state === 'opening' || outdated !== undefined) return
      if (host.state !== 'ready') continue
      const grownMiB = await this.#memory.outgrown(host)
      if (grownMiB === undefined || host.state !== 'ready') continue
      this.#report('info', 'hsm_host_outgrown', { pid: host.pid, grownMiB })
      host.outdated = 'memory'
      this.keepUp()
    }
  }

  /** A token that gives no further session gets no second request for one: those that have grown serve on. */
  #keepOutgrown(): void {
    for (const host of this.hosts) if (host.outdated === 'memory') host.outdated = undefined
  }

  #newHost(): Host {
    const pin = this.#settings.pin?.reveal()
    const host = new Host(this.#starter, hostEnvironment(pin), {
      failed: (job, ckr) => this.#events.failed(host, job, ckr),
      vanished: (job) => this.#events.vanished(host, job),
      unfinished: (job) => this.#events.unfinished(job),
      ended: (why) => this.lost(host, why),
      idle: () => this.#events.idle(),
    })
    pin?.fill(0)
    this.hosts.add(host)
    return host
  }

  #reportBack({ label, serial }: TokenFacts): void {
    this.#report('info', 'hsm_back', { token: label, serial })
  }

  async #open(host: Host): Promise<void> {
    const timer = setTimeout(() => this.lost(host, 'the module did not open in time'), OPEN_TIMEOUT_MS)
    try {
      const facts = await this.#logins.run((pin) => host.open({ ...this.#settings.open, ...(pin && { pin }) }))
      if (host.state !== 'opening') return
      if (this.#facts?.serial !== facts.serial) this.#generation++
      this.#facts = facts
      host.state = 'ready'
      host.readyAt = performance.now()
      if (this.#failures > 0 && !this.#isSick) this.#reportBack(facts)
      this.#failures = 0
      this.retire()
      this.keepUp()
    } finally {
      clearTimeout(timer)
    }
  }
}
