import { abortable, AdapterError, type CallSignal, type Report } from '../../contract/index.ts'
import type { KmipOptions } from '../options.ts'
import { KmipRefusal, type KmipOperation, type Outcome } from '../protocol/operation.ts'
import type { Negotiated } from './negotiation.ts'
import { KmipServer, valueOf } from './server.ts'
import { LOGIN_REFUSED, operatorError, ServerUnreachable } from './unreachable.ts'

const FIRST_PROBE_MS = 250
const LAST_PROBE_MS = 15_000
/** A server that callers ask for in vain is probed so often. */
const WANTED_PROBE_MS = 1000
/** What a silent server has to answer on a fresh connection, and a sick one to agree on a version. */
const CHECK_MS = 2000
const PROBE_MS = 5000

/** A server that was found not to answer. */
interface Sick {
  readonly code: string
  /** Of the next probe; `undefined` while one is under way. */
  timer: NodeJS.Timeout | undefined
  delayMs: number
  /** When it may be probed early, on `performance.now()`'s clock. */
  mayProbeAt: number
}

interface Member {
  readonly server: KmipServer
  /** It was silent, and whether it still answers is being found out: others are asked before it. */
  isDoubted: boolean
  sick: Sick | undefined
}

type Results<Operations extends readonly KmipOperation<unknown>[]> = {
  [Index in keyof Operations]: Operations[Index] extends KmipOperation<infer Result> ? Outcome<Result> : never
}

/**
 * The servers in the operator's order. The first that is well is asked. One that cannot be reached, or that is silent on a
 * fresh connection too, is sick: it is left alone, probed with growing intervals, and asked again once it answers. The
 * silence of single requests makes no server sick: they may be slow by themselves.
 */
export class KmipCluster {
  readonly #members: readonly Member[]
  readonly #report: Report
  #closed = false

  constructor(options: KmipOptions, report: Report) {
    this.#members = options.servers.map((server) => {
      const member: Member = {
        server: new KmipServer(server, options, () => void this.#examine(member)),
        isDoubted: false,
        sick: undefined,
      }
      return member
    })
    this.#report = report
  }

  /**
   * Asks one operation. Rejects with {@link KmipRefusal} if the server says no, otherwise with the signal's reason or an
   * AdapterError.
   */
  async call<Result>(operation: KmipOperation<Result>, signal: CallSignal): Promise<Result> {
    const [outcome] = await this.batch([operation], signal)
    return valueOf(outcome)
  }

  /** Asks several operations in one message. A refusal of one is its outcome and concerns no other. */
  async batch<const Operations extends readonly KmipOperation<unknown>[]>(
    operations: Operations,
    signal: CallSignal,
  ): Promise<Results<Operations>> {
    signal.throwIfAborted()
    for (const isDoubted of [false, true]) {
      for (const member of this.#members) {
        if (member.sick !== undefined || member.isDoubted !== isDoubted) continue
        const outcomes = await this.#ask(member, operations, signal)
        if (outcomes !== undefined) return outcomes as unknown as Results<Operations>
      }
    }
    for (const member of this.#members) this.#probeIfDue(member)
    throw this.#unusable()
  }

  /** Resolves if a server answers, of which each is asked now. Rejects like {@link call}. */
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
   * What the first well server can do. Rejects with the error of a server that only an operator can make usable, otherwise
   * of the last.
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

  /** Connections to all servers that are open or being opened. */
  get connections(): number {
    return this.#members.reduce((sum, { server }) => sum + server.connections, 0)
  }

  /** What each server is, in the operator's order, whichever of them is asked now. */
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

  /** `undefined` if nothing could be sent. */
  async #ask(member: Member, operations: readonly KmipOperation<unknown>[], signal: CallSignal) {
    const began = performance.now()
    try {
      return await member.server.call(operations, signal)
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

  /** Rejects like {@link KmipServer.check}; what it comes to is remembered. */
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

  /** @param began when the attempt began that failed; what the server has done since then is newer evidence */
  #markSick(member: Member, code: string, began: number): void {
    if (member.sick !== undefined || this.#closed || member.server.heardAt > began) return
    member.server.forget()
    this.#report('error', 'kmip_server_unreachable', { server: member.server.address, code })
    const delayMs = code === LOGIN_REFUSED ? LAST_PROBE_MS : FIRST_PROBE_MS
    member.sick = { code, timer: undefined, delayMs, mayProbeAt: Infinity }
    this.#scheduleProbe(member, member.sick)
  }

  #scheduleProbe(member: Member, sick: Sick): void {
    // Many gateways must not come back to a restarted server at the same moment.
    const jitter = 0.5 + Math.random()
    sick.timer = setTimeout(() => void this.#probe(member, sick), sick.delayMs * jitter)
    sick.timer.unref()
    sick.mayProbeAt = sick.code === LOGIN_REFUSED ? Infinity : performance.now() + (WANTED_PROBE_MS * jitter) / 1.5
  }

  /** Somebody asks for it in vain. */
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
    sick.delayMs = Math.min(2 * sick.delayMs, LAST_PROBE_MS)
    this.#scheduleProbe(member, sick)
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')
