import { abortable, AdapterError, type CallSignal, type Report } from '../../contract/index.ts'
import type { KmipOptions } from '../options.ts'
import { KmipRefusal, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import { refusesLogin, type Negotiated } from './negotiation.ts'
import { KmipServer, valueOf } from './server.ts'
import { LOGIN_REFUSED, operatorError, ServerUnreachable } from './unreachable.ts'

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

interface Member {
  readonly requests: Requests
  readonly server: KmipServer
  /** True while a silent server is being examined. Other servers are asked before it. */
  isDoubted: boolean
  sick: Sick | undefined
}

const standingOf = ({ sick, isDoubted }: Member) => (sick !== undefined ? 'sick' : isDoubted ? 'doubted' : 'well')

type Results<Operations extends readonly KmipOperation<unknown>[]> = {
  [Index in keyof Operations]: Operations[Index] extends KmipOperation<infer Result> ? Outcome<Result> : never
}

/** What takes requests: one server, or whichever is healthy. */
export interface Requests {
  /**
   * Sends one operation.
   * @throws KmipRefusal if the server refuses; otherwise the signal's reason or an AdapterError
   */
  call<Result>(operation: KmipOperation<Result>, signal: CallSignal): Promise<Result>
  /** Sends several operations in one message. A refusal of one is its outcome and does not affect the others. */
  batch<const Operations extends readonly KmipOperation<unknown>[]>(
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>>
}

/** Nothing was sent, because the server cannot be used. Another one can be asked. */
class ServerAway extends AdapterError {
  constructor() {
    super('BACKEND_UNAVAILABLE', 'the KMIP server cannot be reached')
  }
}

/**
 * The servers in the operator's order. The first healthy server gets the requests. A server is sick if it cannot be
 * reached, or is silent on a fresh connection too. A sick server gets no requests. It is probed at growing intervals,
 * and used again when it answers. A single request without an answer makes no server sick, because that request may be
 * slow by itself.
 */
export class KmipCluster implements Requests {
  readonly #members: readonly Member[]
  readonly #report: Report
  #closed = false

  constructor(options: KmipOptions, report: Report) {
    this.#members = options.servers.map((server) => {
      const member: Member = {
        requests: {
          call: async (operation, signal) => valueOf((await this.#askOne(member, [operation], signal))[0]),
          batch: (operations, signal) => this.#askOne(member, operations, signal),
        },
        server: new KmipServer(server, options, {
          doubt: () => void this.#examine(member),
          loginRefused: (began) => this.#markSick(member, LOGIN_REFUSED, began),
        }),
        isDoubted: false,
        sick: undefined,
      }
      return member
    })
    this.#report = report
  }

  /** Each server by itself, in the operator's order. An object's identifier is that of one server. */
  get servers(): readonly Requests[] {
    return this.#members.map(({ requests }) => requests)
  }

  async call<Result>(operation: KmipOperation<Result>, signal: CallSignal): Promise<Result> {
    return this.onOne((server) => server.call(operation, signal), signal)
  }

  async batch<const Operations extends readonly KmipOperation<unknown>[]>(
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>> {
    return this.onOne((server) => server.batch(operations, signal), signal)
  }

  /**
   * Does `work` with the first healthy server. If a request of it cannot be sent, begins anew with the next one. A sick
   * server is last, for work that needs no request because what is known of a key still counts.
   */
  async onOne<Result>(work: (server: Requests) => Promise<Result>, signal: CallSignal): Promise<Result> {
    signal.throwIfAborted()
    for (const standing of ['well', 'doubted', 'sick'] as const) {
      for (const member of this.#members) {
        if (standingOf(member) !== standing) continue
        try {
          return await work(member.requests)
        } catch (error) {
          if (!(error instanceof ServerAway)) throw error
        }
      }
    }
    for (const member of this.#members) this.#probeIfDue(member)
    throw this.#unusable()
  }

  /** Asks every server now, and resolves if one answers. Rejects like {@link call}. */
  async probe(signal: CallSignal): Promise<void> {
    signal.throwIfAborted()
    const asked = this.#members.filter(({ sick }) => sick?.code !== LOGIN_REFUSED)
    try {
      await abortable(Promise.any(asked.map((member) => this.#check(member, signal))), signal)
    } catch (error) {
      if (!(error instanceof AggregateError)) throw error
      throw error.errors.find((one) => one instanceof KmipRefusal) ?? this.#unusable()
    }
  }

  /**
   * What the first healthy server supports. If none can be used, rejects with an error that only an operator can
   * correct, otherwise with the last error.
   */
  async negotiate(): Promise<Negotiated> {
    const errors: unknown[] = []
    for (const member of this.#members) {
      const began = performance.now()
      try {
        return await member.server.negotiate()
      } catch (error) {
        errors.push(error)
        if (error instanceof ServerUnreachable) this.#markSick(member, error.code, began)
      }
    }
    throw errors.find((error) => operatorError(error) !== undefined) ?? errors.at(-1)
  }

  /** Whether there is a server that was not asked, because it is sick or silent. */
  get hasUnasked(): boolean {
    return this.#members.length > 1 && this.#members.some((member) => standingOf(member) !== 'well')
  }

  /** Open connections to all servers, including those that are being opened. */
  get connections(): number {
    return this.#members.reduce((sum, { server }) => sum + server.connections, 0)
  }

  /** What each server supports, in the operator's order, regardless of which one is in use. */
  async survey(): Promise<readonly (readonly [address: string, Negotiated | ServerUnreachable | AdapterError])[]> {
    return Promise.all(
      this.#members.map(async ({ server }) => {
        try {
          return [server.address, await server.negotiate()] as const
        } catch (error) {
          if (error instanceof ServerUnreachable || error instanceof AdapterError)
            return [server.address, error] as const
          throw error
        }
      }),
    )
  }

  assertOpen(): void {
    if (this.#closed) throw closed()
  }

  close(): void {
    this.#closed = true
    for (const member of this.#members) {
      clearTimeout(member.sick?.timer)
      member.server.close()
    }
  }

  /** @throws ServerAway if nothing could be sent */
  async #askOne<const Operations extends readonly KmipOperation<unknown>[]>(
    member: Member,
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>> {
    signal.throwIfAborted()
    if (this.#closed) throw closed()
    const outcomes = member.sick === undefined ? await this.#ask(member, operations, signal) : undefined
    if (outcomes === undefined) throw new ServerAway()
    return outcomes as unknown as Results<Operations>
  }

  /** Undefined if nothing could be sent. */
  async #ask(member: Member, operations: readonly KmipOperation<unknown>[], signal: CallSignal) {
    const began = performance.now()
    try {
      const outcomes = await member.server.call(operations, signal)
      if (!outcomes.some(refusesLogin)) return outcomes
      const isRefused = await abortable(member.server.refusesLogin(operations[0]?.object), signal)
      return isRefused || member.sick !== undefined ? undefined : outcomes
    } catch (error) {
      if (this.#closed) throw closed()
      if (!(error instanceof ServerUnreachable)) throw error
      this.#markSick(member, error.code, began)
      return undefined
    }
  }

  #unusable(): AdapterError {
    return this.#closed ? closed() : new AdapterError('BACKEND_UNAVAILABLE', 'no KMIP server can be reached')
  }

  /** Finds out whether a server that was silent is sick. */
  async #examine(member: Member): Promise<void> {
    if (member.isDoubted || member.sick !== undefined || this.#closed) return
    member.isDoubted = true
    await this.#check(member, AbortSignal.timeout(CHECK_MS)).catch(() => undefined)
    member.isDoubted = false
  }

  /** Rejects like {@link KmipServer.check}. The outcome is remembered. */
  async #check(member: Member, signal: CallSignal): Promise<void> {
    const began = performance.now()
    try {
      await member.server.check(signal)
    } catch (error) {
      if (error instanceof ServerUnreachable) this.#markSick(member, error.code, began)
      throw error
    }
    this.#markWell(member)
  }

  #markWell(member: Member): void {
    if (member.sick === undefined || this.#closed) return
    clearTimeout(member.sick.timer)
    member.sick = undefined
    this.#report('info', 'kmip_server_back', { server: member.server.address })
  }

  /** @param began when the failed attempt began. If the server has answered since, the failure does not count */
  #markSick(member: Member, code: string, began: number): void {
    if (this.#closed || member.server.heardAt > began || member.sick?.code === code) return
    const isNew = member.sick === undefined
    const sick: Sick = (member.sick ??= {
      code,
      reported: new Set(),
      timer: undefined,
      delayMs: FIRST_PROBE_MS,
      mayProbeAt: Infinity,
    })
    if (isNew) member.server.forget()
    sick.code = code
    if (!sick.reported.has(code)) {
      sick.reported.add(code)
      this.#report('error', 'kmip_server_unreachable', { server: member.server.address, code })
    }
    if (code === LOGIN_REFUSED) sick.delayMs = LOGIN_PROBE_MS.first
    if (isNew || code === LOGIN_REFUSED) this.#scheduleProbe(member, sick)
  }

  #scheduleProbe(member: Member, sick: Sick): void {
    // Random intervals, so that many gateways do not return to a restarted server at the same moment.
    const jitter = 0.5 + Math.random()
    clearTimeout(sick.timer)
    sick.timer = setTimeout(() => void this.#probe(member, sick), sick.delayMs * jitter)
    sick.timer.unref()
    sick.mayProbeAt = sick.code === LOGIN_REFUSED ? Infinity : performance.now() + (WANTED_PROBE_MS * jitter) / 1.5
  }

  /** Called when a caller needs the server while it is sick. */
  #probeIfDue(member: Member): void {
    const { sick } = member
    if (sick === undefined || performance.now() < sick.mayProbeAt) return
    clearTimeout(sick.timer)
    void this.#probe(member, sick)
  }

  async #probe(member: Member, sick: Sick): Promise<void> {
    sick.mayProbeAt = Infinity
    await this.#check(member, AbortSignal.timeout(PROBE_MS)).catch(() => undefined)
    if (member.sick !== sick || this.#closed) return
    sick.delayMs = Math.min(2 * sick.delayMs, sick.code === LOGIN_REFUSED ? LOGIN_PROBE_MS.last : LAST_PROBE_MS)
    this.#scheduleProbe(member, sick)
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
