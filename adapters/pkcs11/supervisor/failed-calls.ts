import type { AdapterError } from '../../contract/index.ts'
import { ckrName, ckrRow, contradictsWay } from '../cryptoki/ckr-table.ts'
import { TokenError } from '../cryptoki/token-error.ts'
import type { Evidence } from './evidence.ts'
import type { Host } from './host.ts'
import type { Job } from './job.ts'
import type { Upkeep } from './upkeep.ts'

/** What the supervisor does for a call that failed. */
interface Calls {
  /** Gives the call to another host, once; otherwise it is rejected with `error`. */
  retryElsewhere(job: Job, error: AdapterError): void
  /** There may be room for another call. */
  idle(): void
}

/** Decides what becomes of a call that failed with a `CK_RV`, and of its host (docs/adr/0008). */
export class FailedCalls {
  readonly #evidence: Evidence
  readonly #upkeep: Upkeep
  readonly #calls: Calls

  constructor(evidence: Evidence, upkeep: Upkeep, calls: Calls) {
    this.#evidence = evidence
    this.#upkeep = upkeep
    this.#calls = calls
  }

  /** Applies the session effect of the CKR table. */
  failed(host: Host, job: Job, ckr: number): void {
    const said = `the token answered ${ckrName(ckr)}`
    const { session } = ckrRow(ckr)
    switch (session === 'keep' && job.inRightWay && contradictsWay(ckr) ? 'ask' : session) {
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
        job.reject(this.#upkeep.refuseLogin(ckr))
        this.#upkeep.lost(host, said)
        return
      case 'restart':
        job.reject(TokenError.unavailable(said, ckr))
        this.#giveUp(host, said)
    }
  }

  vanished(host: Host, job: Job): void {
    const why = 'the token shows none of the keys that it had'
    this.#calls.retryElsewhere(job, TokenError.unavailable(why))
    this.#giveUp(host, why)
  }

  /** If the key proves to work, the call is tried once more on the same session, and that answer counts. */
  async #ask(host: Host, job: Job, ckr: number): Promise<void> {
    const before = job.judged?.host === host ? job.judged.finding : undefined
    if (before === 'call') {
      job.reject(job.inRightWay ? TokenError.inRightWay(ckr, job.unwrapping) : TokenError.ofCall(ckr, job.unwrapping))
    }
    if (before === 'unclear') job.reject(TokenError.unclear(ckr, 'no known value shows what this answer means'))
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
      this.#calls.retryElsewhere(job, TokenError.unavailable(`the token answered ${ckrName(ckr)}`, ckr))
      this.#calls.idle()
    }
  }

  #giveUp(host: Host, why: string): void {
    this.#upkeep.giveUp(host, why)
    void this.#checkOthers(why)
  }

  /**
   * A token that is gone for one host is gone for all. The others are checked at once, so that none needs a failed
   * call.
   */
  async #checkOthers(why: string): Promise<void> {
    const others = [...this.#upkeep.hosts].filter(({ state }) => state === 'ready')
    await Promise.all(
      others.map(async (host) => {
        if (!(await this.#evidence.isWell(host))) this.#upkeep.giveUp(host, why)
      }),
    )
  }

  #retryOnNewSession(host: Host, job: Job, ckr: number): void {
    job.retried = true
    job.judged = undefined
    host.waiting.push(job)
    if (host.state !== 'ready') return
    void this.#upkeep.reopen(host, ckr).then(() => {
      const waiting = host.waiting
      host.waiting = []
      for (const again of waiting) {
        if (host.state === 'ready' && !again.over) host.give(again)
        else again.reject(TokenError.unavailable('the session was lost, and no new one could be opened', ckr))
      }
      this.#calls.idle()
    })
  }
}
