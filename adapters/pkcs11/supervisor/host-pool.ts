import { AdapterError, type Report } from '../../contract/index.ts'
import { ckrName, ckrRow } from '../ckr-table.ts'
import type { TokenFacts } from '../host-protocol.ts'
import type { KeyWitness } from '../keys/witness.ts'
import { TokenError } from '../token-error.ts'
import { Background } from './background.ts'
import { Evidence } from './evidence.ts'
import type { Host } from './host.ts'
import { HostChoice } from './host-choice.ts'
import { HostKeeper, type HostSettings, type PoolEvents } from './host-keeper.ts'
import { Job, type CallOptions } from './job.ts'
import { JobQueue } from './job-queue.ts'

/**
 * A call that lasts longer than this, and than twice the slowest of its host of late, gives the calls behind it back, so
 * that none waits for one that is slow or hangs.
 */
const STALL = { ms: 30, times: 2 }
const WATCH_MS = 5
const MAX_QUEUE = 4096

export interface PoolSettings extends HostSettings {
  readonly callTimeoutMs: number
}

/** Gives calls to the least busy of the HSM hosts, and keeps them here while all are busy. */
export class HostPool implements PoolEvents {
  readonly #evidence = new Evidence()
  readonly #keeper: HostKeeper
  readonly #callTimeoutMs: number
  readonly #watch: NodeJS.Timeout
  readonly #queue = new JobQueue()
  readonly #background = new Background()
  readonly #choice = new HostChoice()
  #closed = false

  private constructor(settings: PoolSettings, report: Report) {
    this.#keeper = new HostKeeper(settings, this, report)
    this.#callTimeoutMs = settings.callTimeoutMs
    this.#watch = setInterval(() => this.#watchCalls(), WATCH_MS)
    this.#watch.unref()
  }

  /** Opens the token in one host; {@link HostPool.grow} adds more. Rejects with an `OperatorError`. */
  static async open(settings: PoolSettings, report: Report): Promise<HostPool> {
    const pool = new HostPool(settings, report)
    try {
      await pool.#keeper.openFirst()
      return pool
    } catch (error) {
      await pool.close()
      throw error
    }
  }

  /** The token as it was last opened. */
  get token(): TokenFacts {
    return this.#keeper.token
  }

  /** Changes when another token, or the same one initialised again, was opened. */
  get generation(): number {
    return this.#keeper.generation
  }

  /** The hosts that serve, by process id. */
  get pids(): number[] {
    return [...this.#keeper.hosts].filter(({ state }) => state === 'ready').map(({ pid }) => pid)
  }

  grow(size: number): void {
    this.#keeper.grow(size)
  }

  /** `payload` becomes the pool's own. Rejects with an {@link AdapterError}, or with the signal's reason. */
  async call(kind: number, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const job = new Job(kind, payload, options)
    if (this.#closed) job.reject(closed())
    else if (options.signal?.aborted) job.reject(options.signal.reason)
    else if (this.#queue.size >= MAX_QUEUE) job.reject(new TokenError('BACKEND_BUSY', 'too many calls wait', 'request'))
    else {
      if (job.background) this.#background.push(job)
      else {
        this.#choice.noted(job)
        this.#queue.push(job)
      }
      this.idle()
    }
    return job.promise
  }

  /** Witnesses of the keys that worked last, latest first. */
  get witnesses(): readonly KeyWitness[] {
    return this.#evidence.recent
  }

  /** The witness's key has just worked. */
  worked(witness: KeyWitness): void {
    this.#evidence.worked(witness)
    this.#keeper.worked()
  }

  /** No such key is there any more, or with no selector none at all: it is another token. */
  forget(selector?: string): void {
    if (selector === undefined) this.#evidence.clear()
    else this.#evidence.drop(selector)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#watch)
    for (const host of this.#keeper.hosts) this.#takeBack(host, closed())
    for (const job of [...this.#queue.clear(), ...this.#background.clear()]) job.reject(closed())
    await this.#keeper.close()
  }

  /** Puts a new host in the place of each; no call waits for it. */
  renew(): void {
    this.#keeper.renew()
  }

  /** Hands out what waits. */
  idle(): void {
    this.#keeper.retire()
    if (this.#background.isImpatient) this.#giveBackground()
    while (this.#queue.size > 0) {
      let host: Host | undefined
      const job = this.#queue.take((next) => next.over || (host = this.#hostFor(next)) !== undefined)
      if (job === undefined) break
      if (!job.over) host?.give(job)
    }
    if (this.#queue.size === 0) this.#giveBackground()
    const background = this.#isHeld() ? undefined : this.#background
    const down = this.#queue.size > 0 || background?.first !== undefined ? this.#keeper.downBecause : undefined
    if (down === undefined) return
    for (const job of [...this.#queue.clear(), ...(background?.clear() ?? [])]) job.reject(down)
  }

  /** The session's column of the CKR table. */
  failed(host: Host, job: Job, ckr: number): void {
    const said = `the token answered ${ckrName(ckr)}`
    switch (ckrRow(ckr).session) {
      case 'keep':
        job.reject(TokenError.ofCall(ckr, job.unwrapping))
        return
      case 'ask':
        void this.#ask(host, job, ckr)
        return
      case 'reopen':
        if (job.retried) job.reject(TokenError.unavailable(`${said} twice`, ckr))
        else this.#retryOnNewSession(host, job, ckr)
        return
      case 'login-refused':
        job.reject(this.#keeper.refuseLogin(ckr))
        this.#keeper.lost(host, said)
        return
      case 'restart':
        job.reject(TokenError.unavailable(said, ckr))
        this.#giveUp(host, said)
    }
  }

  vanished(host: Host, job: Job): void {
    const why = 'the token shows none of the keys that it had'
    this.#retryElsewhere(job, TokenError.unavailable(why))
    this.#giveUp(host, why)
  }

  /** The oldest call of a lost host is tried once more elsewhere; those behind it had not begun. */
  lost(host: Host, why: string): void {
    this.#takeBack(host, new TokenError('BACKEND_UNAVAILABLE', `the HSM host is gone: ${why}`, 'module'))
  }

  unfinished(job: Job): void {
    if (job.background) this.#background.push(job)
    else this.#queue.giveBack([job])
  }

  /** All that waits, to one host: qualifications go one after another, so that it is the samples of one that share calls. */
  #giveBackground(): void {
    const { first } = this.#background
    if (first === undefined || this.#isHeld()) return
    for (const { hasBackground } of this.#keeper.hosts) if (hasBackground) return
    const host = this.#hostFor(first)
    if (host === undefined) return
    for (const job of this.#background.clear()) if (!job.over) host.give(job)
  }

  #isHeld(): boolean {
    return this.#background.isHeld(this.pids.length)
  }

  /** What has not begun, or is tried once more. */
  #requeue(...jobs: readonly Job[]): void {
    this.#queue.giveBack(jobs.filter(({ background }) => !background))
    this.#background.giveBack(jobs.filter(({ background }) => background))
  }

  #takeBack(host: Host, error: AdapterError): void {
    const { begun, others } = host.abandon(error)
    this.#requeue(...others)
    if (begun === undefined) return
    if (begun.background) this.#background.hold(this.pids.length + 1)
    this.#retryElsewhere(begun, error)
  }

  #retryElsewhere(job: Job, error: AdapterError): void {
    if (this.#closed) job.reject(closed())
    else if (job.retried) job.reject(error)
    else {
      job.retried = true
      this.#requeue(job)
    }
  }

  /** Once the key is known to work, the call is tried once more on the same session; what it says then is believed. */
  async #ask(host: Host, job: Job, ckr: number): Promise<void> {
    const before = job.judged?.host === host ? job.judged.finding : undefined
    if (before === 'call') job.reject(TokenError.ofCall(ckr, job.unwrapping))
    if (before === 'unclear') job.reject(TokenError.unclear(ckr, 'no known value shows what it means'))
    if (job.over) return
    const finding = await this.#evidence.judge(host, job.witness)
    if (finding === 'token') {
      const why = `the token answered ${ckrName(ckr)}, and no key can be used`
      job.reject(TokenError.unavailable(why, ckr))
      this.#giveUp(host, why)
    } else if (finding === 'key') {
      job.reject(TokenError.unclear(ckr, 'this key cannot be used in this way'))
    } else if (host.state === 'ready') {
      job.judged = { host, finding }
      host.give(job)
    } else {
      this.#retryElsewhere(job, TokenError.unavailable(`the token answered ${ckrName(ckr)}`, ckr))
      this.idle()
    }
  }

  #giveUp(host: Host, why: string): void {
    this.#keeper.giveUp(host, why)
    void this.#checkOthers(why)
  }

  /** A token that is gone for one host is gone for all; the others need not find out by a call each. */
  async #checkOthers(why: string): Promise<void> {
    const others = [...this.#keeper.hosts].filter(({ state }) => state === 'ready')
    await Promise.all(
      others.map(async (host) => {
        if (!(await this.#evidence.isWell(host))) this.#keeper.giveUp(host, why)
      }),
    )
  }

  #retryOnNewSession(host: Host, job: Job, ckr: number): void {
    job.retried = true
    job.judged = undefined
    host.waiting.push(job)
    if (host.state !== 'ready') return
    void this.#keeper.reopen(host, ckr).then(() => {
      const waiting = host.waiting
      host.waiting = []
      for (const again of waiting) {
        if (host.state === 'ready' && !again.over) host.give(again)
        else again.reject(TokenError.unavailable('the session was lost, and no other could be opened', ckr))
      }
      this.idle()
    })
  }

  #hostFor(job: Job): Host | undefined {
    const { hosts } = this.#keeper
    const ready = [...hosts].filter((host) => host.state === 'ready' && !this.#keeper.isRelieved(host))
    return this.#choice.of(ready, job)
  }

  #watchCalls(): void {
    const now = performance.now()
    for (const host of this.#keeper.hosts) {
      const age = host.headAge(now)
      if (host.silence(now) > this.#callTimeoutMs) {
        const why = `a call of the PKCS#11 module did not return within ${this.#callTimeoutMs} ms`
        const late = new TokenError('BACKEND_UNAVAILABLE', why, 'time')
        const { begun, others } = host.abandon(late)
        if (begun?.background === true) this.#background.hold(this.pids.length)
        begun?.reject(late)
        this.#requeue(...others)
        this.#keeper.lost(host, why)
      } else if (age > Math.max(STALL.ms, STALL.times * host.slowest) && !host.stalled) {
        this.#requeue(...host.stall(now))
        this.idle()
      }
    }
  }
}

const closed = () => new AdapterError('CLOSED', 'the adapter is closed')
