import { abortable, type CallSignal, type Report } from '../../contract/index.ts'
import type { KmipOptions, KmipServerOptions } from '../options.ts'
import { valueOf, type KmipOperation } from '../protocol/operation.ts'
import { refusesLogin, type Negotiated } from './negotiation.ts'
import { closed, ServerAway, type Requests, type Results } from './requests.ts'
import { KmipServer } from './server.ts'
import { LOGIN_REFUSED, ServerUnreachable } from './unreachable.ts'

const FIRST_PROBE_MS = 250
const LAST_PROBE_MS = 15_000
/** Milliseconds between probes of a sick server that callers need. */
const WANTED_PROBE_MS = 1000
/** Milliseconds between logins at a server that has refused one, doubling. It may lock the account after a few. */
const LOGIN_PROBE_MS = { first: 15_000, last: 300_000 }
/** Milliseconds for a silent server to answer on a fresh connection, and for a sick server to agree on a version. */
const CHECK_MS = 2000
const PROBE_MS = 5000

/** A server that was found to be unreachable or silent. */
interface Sick {
  /** Of the last attempt. */
  code: string
  readonly reported: Set<string>
  /** The timer of the next probe. Undefined while a probe is under way. */
  timer: NodeJS.Timeout | undefined
  delayMs: number
  /** When an early probe is allowed, on `performance.now()`'s clock. */
  mayProbeAt: number
}

/**
 * One server of a cluster, and whether it is well. It is doubted while it is examined because a request was not
 * answered. It is sick if it cannot be reached, or is silent on a fresh connection too. A sick server gets no requests.
 * It is probed at growing intervals, and is well again when it answers. A single request without an answer makes no
 * server sick, because that request may be slow by itself.
 */
export class Member implements Requests {
  readonly #server: KmipServer
  readonly #report: Report
  #isDoubted = false
  #sick: Sick | undefined
  #closed = false

  constructor(server: KmipServerOptions, options: KmipOptions, report: Report) {
    this.#server = new KmipServer(server, options, {
      doubt: () => void this.#examine(),
      loginRefused: (began) => this.#markSick(LOGIN_REFUSED, began),
    })
    this.#report = report
  }

  get address(): string {
    return this.#server.address
  }

  get standing(): 'well' | 'doubted' | 'sick' {
    return this.#sick !== undefined ? 'sick' : this.#isDoubted ? 'doubted' : 'well'
  }

  get isLoginRefused(): boolean {
    return this.#sick?.code === LOGIN_REFUSED
  }

  /** Open connections, including those that are being opened. */
  get connections(): number {
    return this.#server.connections
  }

  /** @throws ServerAway if nothing could be sent */
  async call<Result>(operation: KmipOperation<Result>, signal: CallSignal): Promise<Result> {
    return valueOf((await this.batch([operation], signal))[0])
  }

  /** @throws ServerAway if nothing could be sent */
  async batch<const Operations extends readonly KmipOperation<unknown>[]>(
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>> {
    signal.throwIfAborted()
    if (this.#closed) throw closed()
    const outcomes = this.#sick === undefined ? await this.#ask(operations, signal) : undefined
    if (outcomes === undefined) throw new ServerAway()
    return outcomes as unknown as Results<Operations>
  }

  /** What the server supports, whatever its standing. A failure makes nobody sick. */
  survey(): Negotiated | Promise<Negotiated> {
    return this.#server.negotiate()
  }

  /** What the server supports. */
  async negotiate(): Promise<Negotiated> {
    const began = performance.now()
    try {
      return await this.#server.negotiate()
    } catch (error) {
      if (error instanceof ServerUnreachable) this.#markSick(error.code, began)
      throw error
    }
  }

  /** Rejects like {@link KmipServer.check}. The outcome is remembered. */
  async check(signal: CallSignal): Promise<void> {
    const began = performance.now()
    try {
      await this.#server.check(signal)
    } catch (error) {
      if (error instanceof ServerUnreachable) this.#markSick(error.code, began)
      throw error
    }
    this.#markWell()
  }

  /** Called when a caller needs the server while it is sick. */
  probeIfDue(): void {
    const sick = this.#sick
    if (sick === undefined || performance.now() < sick.mayProbeAt) return
    clearTimeout(sick.timer)
    void this.#probe(sick)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#sick?.timer)
    this.#server.close()
  }

  /** Undefined if nothing could be sent. */
  async #ask(operations: readonly KmipOperation<unknown>[], signal: CallSignal) {
    const began = performance.now()
    try {
      const outcomes = await this.#server.call(operations, signal)
      if (!outcomes.some(refusesLogin)) return outcomes
      const isRefused = await abortable(this.#server.refusesLogin(operations[0]?.object), signal)
      return isRefused || this.standing === 'sick' ? undefined : outcomes
    } catch (error) {
      if (this.#closed) throw closed()
      if (!(error instanceof ServerUnreachable)) throw error
      this.#markSick(error.code, began)
      return undefined
    }
  }

  /** Finds out whether a server that was silent is sick. */
  async #examine(): Promise<void> {
    if (this.#isDoubted || this.#sick !== undefined || this.#closed) return
    this.#isDoubted = true
    await this.check(AbortSignal.timeout(CHECK_MS)).catch(() => undefined)
    this.#isDoubted = false
  }

  #markWell(): void {
    if (this.#sick === undefined || this.#closed) return
    clearTimeout(this.#sick.timer)
    this.#sick = undefined
    this.#report('info', 'kmip_server_back', { server: this.address })
  }

  /** @param began when the failed attempt began. If the server has answered since, the failure does not count */
  #markSick(code: string, began: number): void {
    if (this.#closed || this.#server.heardAt > began || this.#sick?.code === code) return
    const isNew = this.#sick === undefined
    const sick: Sick = (this.#sick ??= {
      code,
      reported: new Set(),
      timer: undefined,
      delayMs: FIRST_PROBE_MS,
      mayProbeAt: Infinity,
    })
    if (isNew) this.#server.forget()
    sick.code = code
    if (!sick.reported.has(code)) {
      sick.reported.add(code)
      this.#report('error', 'kmip_server_unreachable', { server: this.address, code })
    }
    if (code === LOGIN_REFUSED) sick.delayMs = LOGIN_PROBE_MS.first
    if (isNew || code === LOGIN_REFUSED) this.#scheduleProbe(sick)
  }

  #scheduleProbe(sick: Sick): void {
    // Random intervals, so that many gateways do not return to a restarted server at the same moment.
    const jitter = 0.5 + Math.random()
    clearTimeout(sick.timer)
    sick.timer = setTimeout(() => void this.#probe(sick), sick.delayMs * jitter)
    sick.timer.unref()
    sick.mayProbeAt = sick.code === LOGIN_REFUSED ? Infinity : performance.now() + (WANTED_PROBE_MS * jitter) / 1.5
  }

  async #probe(sick: Sick): Promise<void> {
    sick.mayProbeAt = Infinity
    await this.check(AbortSignal.timeout(PROBE_MS)).catch(() => undefined)
    if (this.#sick !== sick || this.#closed) return
    sick.delayMs = Math.min(2 * sick.delayMs, sick.code === LOGIN_REFUSED ? LOGIN_PROBE_MS.last : LAST_PROBE_MS)
    this.#scheduleProbe(sick)
  }
}
