import { encodeCrypt } from '../wire/crypt-message.ts'
import { Answer, Ask } from '../wire/frames.ts'
import {
  decodeFailure,
  decodeMessage,
  decodeRefusal,
  encodeMessage,
  type LibraryMessage,
  type MemoryFacts,
  type OpenMessage,
  type TokenFacts,
  type TokenSeen,
} from '../wire/host-protocol.ts'
import { ckrName } from '../cryptoki/ckr-table.ts'
import type { Crypt } from '../keys/witness.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import { HostChannel } from './host-channel.ts'
import { HostClock } from './host-clock.ts'
import type { StartsHosts } from './starters.ts'
import { Job } from './job.ts'
import { isSlowBeside, type PacedKey } from './pace.ts'

/** Milliseconds; nearly the most that fits into a message. The supervisor's own values are short. */
const OWN_SLICE_MS = 250

export interface HostEvents {
  /** A call failed with a `CK_RV` other than CKR_OK. */
  failed(job: Job, ckr: number): void
  /** A key was looked for, and the token shows none of its former keys. */
  vanished(job: Job): void
  /** The process has ended, not by {@link Host.kill}. */
  ended(why: string): void
  /** A call has used up its share of the host's time and is not done. */
  unfinished(job: Job): void
  /** The host can take another call. */
  idle(): void
}

interface Given {
  readonly id: number
  readonly job: Job
  /** Another host has it now, and this one does it nevertheless. */
  isRecalled: boolean
}

/** A host and its jobs, oldest first. */
export class Host {
  state: 'opening' | 'ready' | 'recovering' | 'gone' = 'opening'
  /** Its oldest call takes so long that the host gets no further calls. */
  stalled = false
  readyAt = 0
  /**
   * Another host is to replace it. `token`: the module may not see the token as it is now, and the host serves until
   * any other is ready. `memory`: the module has taken too much memory, and the host serves until there are as many
   * others as wanted.
   */
  outdated: 'token' | 'memory' | undefined
  /** Calls that failed with the session. They are tried once more with the next session. */
  waiting: Job[] = []
  readonly #channel: HostChannel
  /** A handful of jobs, oldest first. Not a Map: V8 would keep all of its former entries until a full collection. */
  #jobs: Given[] = []
  #load = 0
  readonly #clock = new HostClock()
  /** The id of the login that has no answer yet. */
  #login: number | undefined

  constructor(starters: StartsHosts, environment: NodeJS.ProcessEnv, events: HostEvents) {
    this.#channel = new HostChannel(starters, environment, {
      replied: (id, answer, payload) => this.#replied(id, answer, payload, events),
      ended: (why) => {
        this.state = 'gone'
        events.ended(why)
      },
    })
  }

  get pid(): number {
    return this.#channel.pid
  }

  /** The total weight of its calls. */
  get load(): number {
    return this.#load
  }

  get hasSlow(): boolean {
    return this.#jobs.some(({ job }) => job.isSlow)
  }

  /** Whether all that it has is slow, and goes to the token together with `job`. */
  sharesSlow({ pace, shares }: Job): boolean {
    return shares && this.#jobs.every(({ job }) => job.shares && job.pace === pace)
  }

  /** Whether its oldest call takes longer than such calls do. */
  isLate(now: number): boolean {
    return isSlowBeside(this.headAge(now), this.#jobs[0]?.job.pace?.averageMs ?? 0)
  }

  /** Records how long its oldest call lasts already. Calls like that may be slow from now on. */
  watch(now: number): void {
    this.#jobs[0]?.job.pace?.lasts(this.headAge(now))
  }

  /** Whether it has a call with `key` that may prove to be slower than it is known to be. */
  isTriedBy(key: PacedKey | undefined): boolean {
    return (
      key !== undefined && this.#jobs.some(({ job, isRecalled }) => job.pace?.key === key && !job.isSlow && !isRecalled)
    )
  }

  /** Whether a call with `key` was answered since the oldest that it has was made. */
  keepsUpWith(key: PacedKey): boolean {
    const oldest = this.#jobs.find(({ job }) => job.pace?.key === key)?.job
    return oldest === undefined || oldest.waitsSince < key.answeredAt
  }

  /** Whether it has a call with another key that is slower than `job`. */
  isSlowerThan({ pace }: Job): boolean {
    const usualMs = pace?.ms ?? 0
    return this.#jobs.some(({ job }) => job.pace?.key !== pace?.key && isSlowBeside(job.pace?.ms ?? 0, usualMs))
  }

  /** Milliseconds that a call like its oldest takes at most, as far as is known. */
  get usualMs(): number {
    return Math.max(this.#clock.slowestMs, this.#jobs[0]?.job.pace?.averageMs ?? 0)
  }

  /** Milliseconds since its module last returned from a call; 0 during a login, which may take seconds. */
  silence(now: number): number {
    return Math.min(this.headAge(now), this.#clock.silence(now))
  }

  /** Whether it has a call that no caller waits for. */
  get hasBackground(): boolean {
    return this.#jobs.some(({ job, isRecalled }) => job.background && !isRecalled)
  }

  /** Milliseconds since its oldest call began; 0 during a login, which may take seconds. */
  headAge(now: number): number {
    const head = this.#jobs[0]?.id
    return head === undefined || head === this.#login ? 0 : this.#clock.headAge(now)
  }

  give(job: Job): number {
    if (this.#jobs.length === 0) this.#clock.begin()
    const id = this.#channel.send(job.kind, job.payload)
    this.#jobs.push({ id, job, isRecalled: false })
    this.#load += job.weight
    return id
  }

  /**
   * Stops giving calls to this host.
   * @returns the calls that {@link Host.recall} takes back
   */
  stall(): Job[] {
    this.stalled = true
    return this.recall()
  }

  /**
   * Takes back the calls behind the oldest one. The host executes them nevertheless: until it answers they count as its
   * load, and the answers are dropped. If all hosts are slow, that only adds work, so each call is taken back at most
   * once.
   */
  recall(): Job[] {
    const [, ...others] = this.#jobs.filter(({ job }) => !(job instanceof OwnJob))
    const behind = others.filter(({ job }) => !job.recalled)
    for (const given of behind) given.isRecalled = given.job.recalled = true
    return behind.map(({ job }) => job)
  }

  /** Takes back every call, oldest first, including those that wait for a new session. */
  abandon(error: unknown): { readonly begun: Job | undefined; readonly others: Job[] } {
    const head = this.#jobs[0]
    const jobs = this.#jobs.filter(({ isRecalled }) => !isRecalled).map(({ job }) => job)
    const calls = jobs.filter((job) => !(job instanceof OwnJob))
    this.#jobs = []
    this.#load = 0
    for (const job of jobs) if (job instanceof OwnJob) job.reject(error)
    const begun = head?.isRecalled === false ? calls.find((job) => job === head.job) : undefined
    const others = [...calls.filter((job) => job !== begun), ...this.waiting]
    this.waiting = []
    return { begun, others }
  }

  /**
   * Loads the module and logs in.
   * @throws the host's or the token's error
   */
  async open(message: OpenMessage): Promise<TokenFacts> {
    return decodeMessage<TokenFacts>(await this.#own(Ask.open, encodeMessage(message), true))
  }

  /** Loads the module and looks at its tokens, without a login. Rejects as {@link Host.open} does. */
  async survey(message: LibraryMessage): Promise<TokenSeen[]> {
    return decodeMessage<TokenSeen[]>(await this.#own(Ask.survey, encodeMessage(message)))
  }

  async reopen(pin: Uint8Array | undefined): Promise<void> {
    await this.#own(Ask.reopen, encodeMessage({ ...(pin && { pin }) }), true)
  }

  /** A wrap or unwrap for the supervisor itself. */
  readonly crypt: Crypt = (selector, way, direction, data) =>
    this.#own(Ask.crypt, encodeCrypt({ selector, way, direction, data, step: 0, sliceMs: OWN_SLICE_MS }))

  async probe(): Promise<void> {
    await this.#own(Ask.probe, new Uint8Array())
  }

  /** The bytes of its memory outside V8's heap. */
  async nativeBytes(): Promise<number> {
    return decodeMessage<MemoryFacts>(await this.#own(Ask.memory, new Uint8Array())).nativeBytes
  }

  kill(): Promise<void> {
    this.state = 'gone'
    return this.#channel.kill()
  }

  /**
   * Ends the host, but lets a login finish: SoftHSM 2.6.1 writes to the token then, and killing it would leave a token
   * without keys.
   */
  close(): Promise<void> {
    this.state = 'gone'
    return this.#login === undefined ? this.#channel.kill() : this.#channel.end()
  }

  /** A request for the supervisor itself. Its errors do not start a repair. */
  #own(kind: number, payload: Uint8Array, isLogin = false): Promise<Uint8Array> {
    const job = new OwnJob(kind, payload, {})
    // The host may have been lost while the login waited for its turn. No answer would come.
    if (this.state === 'gone') {
      job.reject(TokenError.unavailable('the HSM host is gone'))
      return job.promise
    }
    const id = this.give(job)
    if (isLogin) this.#login = id
    return job.promise
  }

  #replied(id: number, answer: number, payload: Uint8Array, events: HostEvents): void {
    if (answer === Answer.alive) return this.#clock.alive()
    if (id === this.#login) this.#login = undefined
    const index = this.#jobs.findIndex((one) => one.id === id)
    const given = index === -1 ? undefined : this.#jobs.splice(index, 1)[0]
    const job = given?.isRecalled === false ? given.job : undefined
    this.#load -= given?.job.weight ?? 0
    this.#clock.answered(given?.job, !(job instanceof OwnJob))
    this.stalled = false
    try {
      if (job === undefined) payload.fill(0)
      else this.#settle(job, answer, payload, events)
    } catch (error) {
      // An unreadable answer ends the host, and nothing else would settle this call.
      job?.reject(TokenError.unavailable('the answer of the HSM host cannot be read'))
      throw error
    }
    events.idle()
  }

  #settle(job: Job, answer: number, payload: Uint8Array, events: HostEvents): void {
    if (answer === Answer.result) job.resolve(payload)
    else if (answer === Answer.refused) job.reject(decodeRefusal(payload))
    else if (answer === Answer.invalidCiphertext) job.reject(TokenError.invalidCiphertext())
    else if (answer === Answer.unfinished) {
      job.goOnWith(payload)
      if (job instanceof OwnJob) this.give(job)
      else if (!job.over) events.unfinished(job)
    } else if (answer === Answer.vanished) {
      if (job instanceof OwnJob) job.reject(TokenError.unavailable('the token is gone'))
      else events.vanished(job)
    } else {
      const { ckr, at } = decodeFailure(payload)
      if (!(job instanceof OwnJob)) events.failed(job, ckr)
      else job.reject(TokenError.unavailable(`${at === '' ? 'the token' : at} answered ${ckrName(ckr)}`, ckr))
    }
  }
}

class OwnJob extends Job {}
