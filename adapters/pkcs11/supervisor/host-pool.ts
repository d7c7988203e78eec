import { setTimeout as sleep } from 'node:timers/promises'
import { AdapterError, type Report } from '../../contract/index.ts'
import { ckrName, ckrRow } from '../ckr-table.ts'
import type { TokenFacts } from '../host-protocol.ts'
import { TokenError } from '../token-error.ts'
import type { Host } from './host.ts'
import { HostKeeper, type HostSettings, type PoolEvents } from './host-keeper.ts'
import { Job, type CallOptions } from './job.ts'
import { JobQueue } from './job-queue.ts'

/**
 * Calls given to a host before the first has returned, by weight. It saves the host a wait between calls, and lets it
 * send the blocks of several key wraps to the token at once. An RSA private operation is slow enough to need neither.
 */
export const PIPELINE = 16
/**
 * A call that lasts longer than this, and than twice the slowest of its host of late, gives the calls behind it back, so
 * that none waits for one that is slow or hangs.
 */
const STALL = { ms: 30, times: 2 }
const WATCH_MS = 5
const MAX_QUEUE = 4096
/** For so long after an AES call one host is kept for its like. */
const KEEP_MS = 1000
/** What nobody waits for lets waiting calls go first for so long, so that it gets on however busy the token is. */
const BACKGROUND_PATIENCE_MS = 30
/** Where it has cost a host, it waits for the next at most so long. */
const HOST_BACK_MS = 15_000
const PROBES = 3
const PROBE_AGAIN_MS = 30

export interface PoolSettings extends HostSettings {
  readonly callTimeoutMs: number
}

/** Gives calls to the least busy of the HSM hosts, and keeps them here while all are busy. */
export class HostPool implements PoolEvents {
  readonly #keeper: HostKeeper
  readonly #callTimeoutMs: number
  readonly #watch: NodeJS.Timeout
  readonly #queue = new JobQueue()
  #quickUntil = 0
  /** What nobody waits for: it has one host at most. */
  #background: Job[] = []
  /** It has cost a host, and must not cost another before there are as many again. */
  #held: { readonly hosts: number; readonly until: number } | undefined
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
    if (this.#closed) job.reject(new AdapterError('CLOSED', 'the adapter is closed'))
    else if (options.signal?.aborted) job.reject(options.signal.reason)
    else if (this.#queue.size >= MAX_QUEUE) job.reject(new TokenError('BACKEND_BUSY', 'too many calls wait', 'request'))
    else {
      if (job.background) this.#background.push(job)
      else {
        if (job.pace !== undefined && job.weight === 1) this.#quickUntil = performance.now() + KEEP_MS
        this.#queue.push(job)
      }
      this.idle()
    }
    return job.promise
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#watch)
    const closed = new AdapterError('CLOSED', 'the adapter is closed')
    for (const host of this.#keeper.hosts) this.#takeBack(host, closed)
    for (const job of [...this.#queue.clear(), ...this.#background.splice(0)]) job.reject(closed)
    await this.#keeper.close()
  }

  /** Puts a new host in the place of each; no call waits for it. */
  renew(): void {
    this.#keeper.renew()
  }

  /** Hands out what waits. */
  idle(): void {
    this.#keeper.retire()
    const [first] = this.#background
    if (first !== undefined && performance.now() - first.waitsSince > BACKGROUND_PATIENCE_MS) this.#giveBackground()
    while (this.#queue.size > 0) {
      let host: Host | undefined
      const job = this.#queue.take((next) => next.over || (host = this.#hostFor(next)) !== undefined)
      if (job === undefined) break
      if (!job.over) host?.give(job)
    }
    if (this.#queue.size === 0) this.#giveBackground()
    const background = this.#isHeld() ? [] : this.#background
    const down = this.#queue.size + background.length > 0 ? this.#keeper.downBecause : undefined
    if (down === undefined) return
    for (const job of [...this.#queue.clear(), ...background.splice(0)]) job.reject(down)
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
        this.#keeper.lost(host, said)
        this.#probeAll()
    }
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
    const [first] = this.#background
    if (first === undefined || this.#isHeld()) return
    for (const { hasBackground } of this.#keeper.hosts) if (hasBackground) return
    const host = this.#hostFor(first)
    if (host === undefined) return
    for (const job of this.#background.splice(0)) if (!job.over) host.give(job)
  }

  #hold(hosts: number): void {
    this.#held = { hosts, until: performance.now() + HOST_BACK_MS }
  }

  #isHeld(): boolean {
    if (this.#held === undefined) return false
    if (this.pids.length >= this.#held.hosts || performance.now() > this.#held.until) this.#held = undefined
    return this.#held !== undefined
  }

  /** What has not begun, or is tried once more. */
  #requeue(...jobs: readonly Job[]): void {
    this.#queue.giveBack(jobs.filter(({ background }) => !background))
    this.#background.unshift(...jobs.filter(({ background }) => background))
  }

  #takeBack(host: Host, error: AdapterError): void {
    const { begun, others } = host.abandon(error)
    this.#requeue(...others)
    if (begun === undefined) return
    if (begun.background) this.#hold(this.pids.length + 1)
    if (begun.retried) begun.reject(error)
    else {
      begun.retried = true
      this.#requeue(begun)
    }
  }

  /**
   * Where the token is well, the failure was the call's own, or has passed: what is not an unwrap is tried once more. An
   * unwrap is not, because that is how some tokens refuse a ciphertext.
   */
  async #ask(host: Host, job: Job, ckr: number): Promise<void> {
    if (!(await this.#isWell(host))) {
      const why = `the token answered ${ckrName(ckr)}, and did not answer a probe`
      job.reject(TokenError.unavailable(why, ckr))
      this.#keeper.lost(host, why)
    } else if (job.unwrapping || job.retried || job.over) job.reject(TokenError.ofCall(ckr, job.unwrapping))
    else {
      job.retried = true
      this.#requeue(job)
      this.idle()
    }
  }

  /** SoftHSM 2.6.1 fails for a moment when another process changes the token. */
  async #isWell(host: Host): Promise<boolean> {
    for (let probes = 1; host.state === 'ready'; probes += 1) {
      try {
        await host.probe()
        return true
      } catch {
        if (probes === PROBES) return false
        await sleep(PROBE_AGAIN_MS)
      }
    }
    return false
  }

  /** A token that is gone for one host is gone for all; the others need not find out by a call each. */
  #probeAll(): void {
    for (const host of this.#keeper.hosts) {
      if (host.state !== 'ready') continue
      host.probe().catch((error: unknown) => {
        this.#keeper.lost(host, error instanceof Error ? error.message : 'the token does not answer a probe')
      })
    }
  }

  #retryOnNewSession(host: Host, job: Job, ckr: number): void {
    job.retried = true
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

  /** The least busy host that may have `job`: what is quick waits behind nothing slow while there is another host. */
  #hostFor(job: Job): Host | undefined {
    const serving = [...this.#keeper.hosts].filter(
      (host) => host.state === 'ready' && !host.stalled && !this.#keeper.isRelieved(host),
    )
    const free = serving.filter((host) => !host.hasSlow)
    if (job.isSlow) {
      const kept = serving.length > 1 && performance.now() < this.#quickUntil ? 1 : 0
      return free.length > kept ? leastBusy(free) : undefined
    }
    return leastBusy(free.length > 0 ? free : serving)
  }

  #watchCalls(): void {
    const now = performance.now()
    for (const host of this.#keeper.hosts) {
      const age = host.headAge(now)
      if (host.silence(now) > this.#callTimeoutMs) {
        const why = `a call of the PKCS#11 module did not return within ${this.#callTimeoutMs} ms`
        const late = new TokenError('BACKEND_UNAVAILABLE', why, 'time')
        const { begun, others } = host.abandon(late)
        if (begun?.background === true) this.#hold(this.pids.length)
        begun?.reject(late)
        this.#requeue(...others)
        this.#keeper.lost(host, why)
      } else if (age > Math.max(STALL.ms, STALL.times * host.slowest) && !host.stalled) {
        host.stalled = true
        this.#requeue(...host.recall())
        this.idle()
      }
    }
  }
}

function leastBusy(hosts: readonly Host[]): Host | undefined {
  let best: Host | undefined
  for (const host of hosts) {
    if (host.load >= PIPELINE) continue
    if (best === undefined || host.load < best.load) best = host
  }
  return best
}
