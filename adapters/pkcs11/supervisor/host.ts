import { encodeCrypt } from '../crypt-message.ts'
import { Answer, Ask } from '../frames.ts'
import {
  decodeFailure,
  decodeMessage,
  decodeRefusal,
  encodeMessage,
  type MemoryFacts,
  type OpenMessage,
  type TokenFacts,
} from '../host-protocol.ts'
import { ckrName } from '../ckr-table.ts'
import type { Crypt } from '../keys/witness.ts'
import { TokenError } from '../token-error.ts'
import { HostProcess } from './host-process.ts'
import type { HostStarter } from './host-starter.ts'
import { Job } from './job.ts'

/** With each call, the slowest one before it counts for so much less. */
const FADING = 0.95
/** Nearly all that fits a message: the values of the pool's own calls are short. */
const OWN_SLICE_MS = 250

export interface HostEvents {
  /** A call was answered by a `CK_RV` other than CKR_OK. */
  failed(job: Job, ckr: number): void
  /** A key was looked for, and none of those that the token had is there any more. */
  vanished(job: Job): void
  /** The process is gone, unless it was killed by {@link Host.kill}. */
  ended(why: string): void
  /** A call has had its share of the host's time and is not done. */
  unfinished(job: Job): void
  /** There is room for another call. */
  idle(): void
}

/** A host process and the jobs that are with it, oldest first. */
export class Host {
  state: 'opening' | 'ready' | 'recovering' | 'gone' = 'opening'
  /** Its oldest call lasts so long that nothing else is given to it. */
  stalled = false
  readyAt = 0
  /**
   * Another is to take its place, and until then it serves on: until any other is ready, where the module may not see the
   * token as it is now; until there are as many others as are wanted, where the module has taken too much memory.
   */
  outdated: 'token' | 'memory' | undefined
  /** Calls that failed with the session and are tried once more on its successor. */
  waiting: Job[] = []
  readonly #process: HostProcess
  /** A handful, oldest first. Of a Map, V8 would keep all that was ever in it until a full collection. */
  #jobs: { readonly id: number; readonly job: Job }[] = []
  #load = 0
  #slowest = 0
  #headSince = performance.now()
  #aliveAt = performance.now()
  /** The id of the login that it was asked for and has not answered. */
  #login: number | undefined

  constructor(starter: HostStarter, environment: NodeJS.ProcessEnv, events: HostEvents) {
    this.#process = new HostProcess(starter, environment, {
      replied: (id, answer, payload) => this.#replied(id, answer, payload, events),
      ended: (why) => {
        this.state = 'gone'
        events.ended(why)
      },
    })
  }

  get pid(): number {
    return this.#process.pid
  }

  /** The weight of the calls that are with it. */
  get load(): number {
    return this.#load
  }

  get hasSlow(): boolean {
    return this.#jobs.some(({ job }) => job.isSlow)
  }

  /** How long its slow calls have taken of late, in milliseconds. */
  get slowest(): number {
    return this.#slowest
  }

  /** For how long its module has not returned from a call, in milliseconds; 0 for a login, which may take seconds. */
  silence(now: number): number {
    return Math.min(this.headAge(now), now - this.#aliveAt)
  }

  /** Whether it has a call that nobody waits for. */
  get hasBackground(): boolean {
    return this.#jobs.some(({ job }) => job.background)
  }

  /** For how long its oldest call has lasted, in milliseconds; 0 for a login, which may take seconds. */
  headAge(now: number): number {
    const head = this.#jobs[0]?.id
    return head === undefined || head === this.#login ? 0 : now - this.#headSince
  }

  give(job: Job): number {
    if (this.#jobs.length === 0) this.#headSince = performance.now()
    const id = this.#process.send(job.kind, job.payload)
    this.#jobs.push({ id, job })
    this.#load += job.weight
    return id
  }

  /**
   * Nothing more is to wait behind its oldest call, nor for what is like it: that it is slow need not be known of it only
   * when it returns. Gives what {@link Host.recall} takes back.
   */
  stall(now: number): Job[] {
    this.stalled = true
    this.#jobs[0]?.job.pace?.took(this.headAge(now))
    return this.recall()
  }

  /**
   * Takes back the calls behind the oldest, each once in its life: the host does them nevertheless, and where all are slow
   * that would only add to what they have to do. Their answers, should they still come, are dropped.
   */
  recall(): Job[] {
    const [, ...others] = this.#jobs.filter(({ job }) => !(job instanceof OwnJob))
    const behind = others.map(({ job }) => job).filter((job) => !job.recalled)
    for (const job of behind) {
      job.recalled = true
      this.#load -= job.weight
    }
    this.#jobs = this.#jobs.filter(({ job }) => !behind.includes(job))
    return behind
  }

  /** Takes back every call, oldest first, those that wait for a new session included. */
  abandon(error: unknown): { readonly begun: Job | undefined; readonly others: Job[] } {
    const jobs = this.#jobs.map(({ job }) => job)
    const calls = jobs.filter((job) => !(job instanceof OwnJob))
    this.#jobs = []
    this.#load = 0
    for (const job of jobs) if (job instanceof OwnJob) job.reject(error)
    const begun = calls.find((job) => job === jobs[0])
    const others = [...calls.filter((job) => job !== begun), ...this.waiting]
    this.waiting = []
    return { begun, others }
  }

  /** Loads the module and logs in. Rejects with what the host or the token had against it. */
  async open(message: OpenMessage): Promise<TokenFacts> {
    return decodeMessage<TokenFacts>(await this.#own(Ask.open, encodeMessage(message), true))
  }

  async reopen(pin: Uint8Array | undefined): Promise<void> {
    await this.#own(Ask.reopen, encodeMessage({ ...(pin && { pin }) }), true)
  }

  /** A wrap or unwrap of the pool's own. */
  readonly crypt: Crypt = (selector, way, direction, data) =>
    this.#own(Ask.crypt, encodeCrypt({ selector, way, direction, data, step: 0, sliceMs: OWN_SLICE_MS }))

  async probe(): Promise<void> {
    await this.#own(Ask.probe, new Uint8Array())
  }

  /** How much memory it has that is not V8's heap. */
  async nativeBytes(): Promise<number> {
    return decodeMessage<MemoryFacts>(await this.#own(Ask.memory, new Uint8Array())).nativeBytes
  }

  kill(): Promise<void> {
    this.state = 'gone'
    return this.#process.kill()
  }

  /** Ends it, but cuts no login off: SoftHSM 2.6.1 writes to the token then, and one that is killed leaves it without keys. */
  close(): Promise<void> {
    this.state = 'gone'
    return this.#login === undefined ? this.#process.kill() : this.#process.end()
  }

  /** A request of the pool's own; its errors are not the pool's to repair. */
  #own(kind: number, payload: Uint8Array, isLogin = false): Promise<Uint8Array> {
    const job = new OwnJob(kind, payload, {})
    // A login can have waited for its turn while its host was lost; nobody would answer it any more.
    if (this.state === 'gone') {
      job.reject(TokenError.unavailable('the HSM host is gone'))
      return job.promise
    }
    const id = this.give(job)
    if (isLogin) this.#login = id
    return job.promise
  }

  #replied(id: number, answer: number, payload: Uint8Array, events: HostEvents): void {
    if (answer === Answer.alive) {
      this.#aliveAt = performance.now()
      return
    }
    if (id === this.#login) this.#login = undefined
    const index = this.#jobs.findIndex((one) => one.id === id)
    const job = index === -1 ? undefined : this.#jobs.splice(index, 1)[0]?.job
    this.#load -= job?.weight ?? 0
    const now = performance.now()
    if (!(job instanceof OwnJob)) this.#slowest = Math.max(FADING * this.#slowest, now - this.#headSince)
    job?.pace?.took(now - this.#headSince)
    this.#headSince = now
    this.stalled = false
    try {
      if (job === undefined) payload.fill(0)
      else this.#settle(job, answer, payload, events)
    } catch (error) {
      // What a host sends that cannot be read ends it, and nobody else would settle this call.
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
    } else if (answer === Answer.vanished) events.vanished(job)
    else {
      const { ckr, at } = decodeFailure(payload)
      if (!(job instanceof OwnJob)) events.failed(job, ckr)
      else job.reject(TokenError.unavailable(`${at === '' ? 'the token' : at} answered ${ckrName(ckr)}`, ckr))
    }
  }
}

class OwnJob extends Job {}
