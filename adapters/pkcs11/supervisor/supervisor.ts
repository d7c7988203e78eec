import { AdapterError, type Report } from '../../contract/index.ts'
import type { TokenFacts } from '../wire/host-protocol.ts'
import type { KeyWitness } from '../keys/witness.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { Background } from './background.ts'
import { Evidence } from './evidence.ts'
import { FailedCalls } from './failed-calls.ts'
import type { Host } from './host.ts'
import { hostFor } from './host-choice.ts'
import { Upkeep, type HostSettings, type SupervisorEvents } from './upkeep.ts'
import { Job, type CallOptions } from './job.ts'
import { JobQueue } from './job-queue.ts'

/**
 * A call stalls its host if it takes longer than this many milliseconds and twice as long as such calls, and the host's
 * recent ones, do at most.
 * The calls behind it are then given to other hosts, so that none waits for a slow or hung one.
 */
const STALL = { ms: 30, times: 2 }
const WATCH_MS = 5
const MAX_QUEUE = 4096

export interface SupervisorSettings extends HostSettings {
  readonly callTimeoutMs: number
}

/** Gives calls to the least busy HSM host, and queues them while all are busy. */
export class Supervisor implements SupervisorEvents {
  readonly #evidence = new Evidence()
  readonly #upkeep: Upkeep
  readonly #failedCalls: FailedCalls
  readonly #callTimeoutMs: number
  readonly #watch: NodeJS.Timeout
  readonly #queue = new JobQueue()
  readonly #background = new Background()
  #closed = false

  private constructor(settings: SupervisorSettings, report: Report) {
    this.#upkeep = new Upkeep(settings, this, report)
    this.#failedCalls = new FailedCalls(this.#evidence, this.#upkeep, {
      retryElsewhere: (job, error) => this.#retryElsewhere(job, error),
      idle: () => this.idle(),
    })
    this.#callTimeoutMs = settings.callTimeoutMs
    this.#watch = setInterval(() => this.#watchCalls(), WATCH_MS)
    this.#watch.unref()
  }

  /**
   * Opens the token in one host. {@link Supervisor.grow} adds more hosts.
   * @throws OperatorError
   */
  static async open(settings: SupervisorSettings, report: Report): Promise<Supervisor> {
    const supervisor = new Supervisor(settings, report)
    try {
      await supervisor.#upkeep.openFirst()
      return supervisor
    } catch (error) {
      await supervisor.close()
      throw error
    }
  }

  /** The facts of the token as it was last opened. */
  get token(): TokenFacts {
    return this.#upkeep.token
  }

  /** Changes when another token was opened. Then every call for the former one is rejected. */
  get generation(): number {
    return this.#upkeep.generation
  }

  /** The process ids of the open hosts. */
  get pids(): number[] {
    return [...this.#upkeep.hosts].filter(({ state }) => state === 'ready').map(({ pid }) => pid)
  }

  grow(size: number): void {
    this.#upkeep.grow(size)
  }

  /**
   * @param payload becomes the supervisor's own
   * @throws AdapterError, or the signal's reason
   */
  async call(kind: number, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const job = new Job(kind, payload, options, this.generation)
    if (this.#closed) job.reject(closed())
    else if (options.signal?.aborted) job.reject(options.signal.reason)
    else if (this.#queue.size >= MAX_QUEUE)
      job.reject(new TokenError('BACKEND_BUSY', 'too many calls are queued', 'request'))
    else {
      if (job.background) this.#background.push(job)
      else this.#queue.push(job)
      this.idle()
    }
    return job.promise
  }

  /** Witnesses of the keys that worked last, latest first. */
  get witnesses(): readonly KeyWitness[] {
    return this.#evidence.recent
  }

  /** Records that the witness's key has just worked. */
  worked(witness: KeyWitness): void {
    this.#evidence.worked(witness)
    this.#upkeep.worked()
  }

  /** Forgets a key that no longer exists. */
  forget(selector: string): void {
    this.#evidence.drop(selector)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#watch)
    for (const host of this.#upkeep.hosts) this.#takeBack(host, closed())
    for (const job of [...this.#queue.clear(), ...this.#background.clear()]) job.reject(closed())
    await this.#upkeep.close()
  }

  /** Replaces each host by a new one. No call waits for that. */
  renew(): void {
    this.#upkeep.renew()
  }

  /** Gives queued calls to the hosts that have room. */
  idle(): void {
    this.#upkeep.retire()
    if (this.#background.isImpatient) this.#giveBackground()
    while (this.#queue.size > 0) {
      let host: Host | undefined
      let isSlowRefused = false
      const job = this.#queue.take((next) => {
        if (next.over) return true
        // A slow key that may join calls of its own would else keep a host from the one whose turn it is.
        host = this.#hostFor(next, !isSlowRefused)
        isSlowRefused ||= next.isSlow && host === undefined
        return host !== undefined
      })
      if (job === undefined) break
      if (!job.over) host?.give(job)
    }
    if (this.#queue.size === 0) this.#giveBackground()
    const background = this.#isHeld() ? undefined : this.#background
    const down = this.#queue.size > 0 || background?.first !== undefined ? this.#upkeep.downBecause : undefined
    if (down === undefined) return
    for (const job of [...this.#queue.clear(), ...(background?.clear() ?? [])]) job.reject(down)
  }

  failed(host: Host, job: Job, ckr: number): void {
    this.#failedCalls.failed(host, job, ckr)
  }

  vanished(host: Host, job: Job): void {
    this.#failedCalls.vanished(host, job)
  }

  /** The oldest call of a lost host is tried once more on another. The calls behind it had not begun. */
  lost(host: Host, why: string): void {
    this.#takeBack(host, new TokenError('BACKEND_UNAVAILABLE', `the HSM host is gone: ${why}`, 'module'))
  }

  /** What a call was made for is known of the former token only: its key, and the way that it is used in. */
  exchanged(hosts: readonly Host[]): void {
    this.#evidence.clear()
    for (const host of hosts) this.#takeBack(host, TokenError.otherToken())
    this.#requeue(...this.#queue.clear(), ...this.#background.clear())
  }

  unfinished(job: Job): void {
    if (job.background) this.#background.push(job)
    else this.#queue.giveBack([job])
  }

  /**
   * Gives all background calls to one host. Qualifications run one after another, so only the samples of one share
   * calls.
   */
  #giveBackground(): void {
    const { first } = this.#background
    if (first === undefined || this.#isHeld()) return
    for (const { hasBackground } of this.#upkeep.hosts) if (hasBackground) return
    const host = this.#hostFor(first)
    if (host === undefined) return
    for (const job of this.#background.clear()) if (!job.over) host.give(job)
  }

  #isHeld(): boolean {
    return this.#background.isHeld(this.pids.length)
  }

  /** Queues calls that have not begun, or are tried once more. */
  #requeue(...jobs: readonly Job[]): void {
    const isCurrent = ({ generation }: Job) => generation === this.generation
    for (const job of jobs) if (!isCurrent(job)) job.reject(TokenError.otherToken())
    const current = jobs.filter(isCurrent)
    this.#queue.giveBack(current.filter(({ background }) => !background))
    this.#background.giveBack(current.filter(({ background }) => background))
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

  #hostFor(job: Job, mayJoin = true): Host | undefined {
    const { hosts } = this.#upkeep
    const ready = [...hosts].filter((host) => host.state === 'ready' && !this.#upkeep.isRelieved(host))
    return hostFor(job, { ready, expected: this.#upkeep.expected(ready.length) }, mayJoin)
  }

  #watchCalls(): void {
    const now = performance.now()
    for (const host of this.#upkeep.hosts) {
      host.watch(now)
      const age = host.headAge(now)
      if (host.silence(now) > this.#callTimeoutMs) {
        const why = `a call of the PKCS#11 module did not return within ${this.#callTimeoutMs} ms`
        const late = new TokenError('BACKEND_UNAVAILABLE', why, 'time')
        const { begun, others } = host.abandon(late)
        begun?.pace?.hung(age)
        if (begun?.background === true) this.#background.hold(this.pids.length)
        begun?.reject(late)
        this.#requeue(...others)
        this.#upkeep.lost(host, why)
      } else if (age > Math.max(STALL.ms, STALL.times * host.usualMs) && !host.stalled) {
        this.#requeue(...host.stall())
        this.idle()
      }
    }
  }
}

const closed = () => new AdapterError('CLOSED', 'the adapter is closed')
