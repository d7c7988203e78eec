import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, type Report, type Secret } from '../../contract/index.ts'
import { ckrName } from '../cryptoki/ckr-table.ts'
import type { OpenMessage, TokenFacts } from '../wire/host-protocol.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { Host } from './host.ts'
import type { Job } from './job.ts'
import { mayPass, openFailure } from './open-failure.ts'
import { hostEnvironment } from './host-channel.ts'
import { Starters, type StartsHosts } from './starters.ts'
import { Logins } from './logins.ts'
import { OutgrownHosts } from './outgrown-hosts.ts'

/** Milliseconds. C_Initialize and C_Login of a network HSM may take seconds. */
const OPEN_TIMEOUT_MS = 15_000
/**
 * Milliseconds between attempts to open the token, doubling. The maximum bounds how long a returned token goes
 * unnoticed.
 */
const RETRY_MS = { min: 100, max: 1000 }

/** SoftHSM 2.6.1 shows no token, or fails with CKR_GENERAL_ERROR, to a process that starts while another logs in. */
const FIRST_ATTEMPTS = 5

export interface HostSettings {
  readonly open: Omit<OpenMessage, 'pin'>
  readonly pin: Secret | undefined
  /** By default processes. */
  readonly starters?: StartsHosts
}

/** What the hosts and their upkeep report to the supervisor. */
export interface SupervisorEvents {
  /** A call failed with a `CK_RV` other than CKR_OK. The supervisor decides what to do. */
  failed(host: Host, job: Job, ckr: number): void
  /** The token of `host` shows none of its former keys. */
  vanished(host: Host, job: Job): void
  /** A call has used up its share of its host's time and is not done. */
  unfinished(job: Job): void
  /** A host is lost. The supervisor takes its calls. */
  lost(host: Host, why: string): void
  /** Another token is open. `hosts` had the former one, and are gone. */
  exchanged(hosts: readonly Host[]): void
  /** There may be room for another call, or no host is left that could take one. */
  idle(): void
}

/**
 * Keeps as many hosts open as sessions are wanted. At most one host logs in at a time, so that a changed PIN is tried
 * once, not once for each session.
 */
export class Upkeep {
  readonly hosts = new Set<Host>()
  readonly #settings: HostSettings
  readonly #events: SupervisorEvents
  readonly #report: Report
  readonly #logins: Logins
  #size = 1
  /** Failed attempts to open the token, and hosts lost right after opening it, since the last success. */
  #failures = 0
  #lastFailure = 'unknown'
  /** True if no host could be opened when that was last tried. */
  #isRefusedMore = false
  /** True if the token was found unable to use any key. That it can be opened does not prove that it is back. */
  #isSick = false
  #facts: TokenFacts | undefined
  #generation = 0
  #retry: NodeJS.Timeout | undefined
  #closed = false
  readonly #starters: StartsHosts
  readonly #outgrown: OutgrownHosts

  constructor(settings: HostSettings, events: SupervisorEvents, report: Report) {
    this.#settings = settings
    this.#events = events
    this.#report = report
    this.#starters = settings.starters ?? new Starters()
    this.#logins = new Logins(settings.pin, report)
    this.#outgrown = new OutgrownHosts(this.hosts, () => this.keepUp(), report)
  }

  /** The facts of the token as it was last opened. */
  get token(): TokenFacts {
    if (this.#facts === undefined) throw new Error('the token is not open')
    return this.#facts
  }

  /** Changes when another token was opened. */
  get generation(): number {
    return this.#generation
  }

  /**
   * Why a call need not wait for a host: there is none, and the last attempt to open one failed. Undefined otherwise.
   */
  get downBecause(): TokenError | undefined {
    for (const { state } of this.hosts) if (state === 'ready' || state === 'recovering') return undefined
    if (this.#logins.refused) return this.#logins.refused
    return this.#failures === 0 ? undefined : TokenError.unavailable(`the HSM cannot be used: ${this.#lastFailure}`)
  }

  /**
   * Opens the first host.
   * @throws OperatorError if an operator must act
   */
  async openFirst(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const host = this.#newHost()
      try {
        return await this.#open(host)
      } catch (error) {
        this.hosts.delete(host)
        await host.kill()
        if (this.#logins.refused || attempt === FIRST_ATTEMPTS || !mayPass(error)) {
          throw openFailure(error, this.#settings.open.module, this.#logins.refused !== undefined)
        }
        await sleep(RETRY_MS.min * 2 ** attempt * Math.random())
      }
    }
  }

  /** Replaces each host by a new one without a gap. The new ones see the token as it is now. */
  renew(): void {
    for (const host of this.hosts) if (host.state === 'ready') host.outdated = 'token'
    this.keepUp()
  }

  /** Ends outdated hosts that are idle, if there are others in their place. */
  retire(): void {
    for (const host of this.hosts) {
      if (host.load > 0 || !this.isRelieved(host)) continue
      this.hosts.delete(host)
      void host.kill()
    }
  }

  /** Whether `host` should get no further calls. */
  isRelieved({ outdated }: Host): boolean {
    return outdated !== undefined && this.#successors() >= (outdated === 'token' ? 1 : this.#size)
  }

  /** How many hosts serve, or will in a moment, where `ready` serve now. */
  expected(ready: number): number {
    return this.#isRefusedMore ? ready : Math.max(ready, this.#size)
  }

  /** How many hosts are open and not outdated. */
  #successors(): number {
    return [...this.hosts].filter(({ outdated, state }) => outdated === undefined && state === 'ready').length
  }

  grow(size: number): void {
    this.#size = size
    this.keepUp()
  }

  /** Opens a new session for `host`. If that fails, the host is given up. */
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

  /** The token of `host` is sick. This is reported once, until a key has worked. */
  giveUp(host: Host, why: string): void {
    const isKnown = this.#isSick
    this.#isSick = true
    this.#lose(host, why, false, isKnown)
  }

  /** Records that a key has just worked. */
  worked(): void {
    if (!this.#isSick) return
    this.#isSick = false
    this.#reportBack(this.token)
  }

  /** Removes a host, ends its process, and has it replaced. */
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
    if (host.readyAt === 0) {
      this.#isRefusedMore = true
      this.#outgrown.keep()
    }
    this.#events.lost(host, why)
    this.keepUp()
  }

  refuseLogin(ckr: number): TokenError {
    return this.#logins.refuse(ckr)
  }

  /** Opens the next missing host, with a delay if the last attempts failed. */
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
    this.#outgrown.close()
    const hosts = [...this.hosts]
    this.hosts.clear()
    const ends = hosts.map((host) => host.close())
    for (const host of hosts) host.abandon(new AdapterError('CLOSED', 'the adapter is closed'))
    await Promise.all(ends)
    this.#starters.close()
  }

  #newHost(): Host {
    const pin = this.#settings.pin?.reveal()
    const host = new Host(this.#starters, hostEnvironment(pin), {
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

  /** No two sessions may use keys of different tokens. What a session sees that was opened just now is true. */
  #exchange(host: Host, { serial: before }: TokenFacts): void {
    const { label, serial } = this.token
    this.#generation++
    this.#report('error', 'hsm_token_changed', { token: label, serial, before })
    const others = [...this.hosts].filter((other) => other !== host)
    for (const other of others) {
      this.hosts.delete(other)
      void other.kill()
    }
    this.#events.exchanged(others)
  }

  #reportBack({ label, serial }: TokenFacts): void {
    this.#report('info', 'hsm_back', { token: label, serial })
  }

  async #open(host: Host): Promise<void> {
    const timer = setTimeout(() => this.lost(host, 'the module did not open in time'), OPEN_TIMEOUT_MS)
    try {
      const facts = await this.#logins.run((pin) => host.open({ ...this.#settings.open, ...(pin && { pin }) }))
      if (host.state !== 'opening') return
      const before = this.#facts
      this.#facts = facts
      host.state = 'ready'
      host.readyAt = performance.now()
      this.#isRefusedMore = false
      if (before !== undefined && before.serial !== facts.serial) this.#exchange(host, before)
      if (this.#failures > 0 && !this.#isSick) this.#reportBack(facts)
      this.#failures = 0
      this.retire()
      this.keepUp()
    } finally {
      clearTimeout(timer)
    }
  }
}
