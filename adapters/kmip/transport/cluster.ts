import { AdapterError, type CallSignal, type Report } from '../../contract/index.ts'
import type { KmipOptions } from '../options.ts'
import type { KmipOperation, Outcome } from '../protocol/operation.ts'
import { KmipServer, ServerUnreachable, valueOf, type Negotiated } from './server.ts'

/** So many calls in a row without an answer, and the server is taken to be sick. */
const FAILURES_TO_SICK = 3
/** A call that had less time than this, because its client took the rest, says nothing of the server that did not answer it. */
const SILENCE_MS = 50
const FIRST_PROBE_MS = 250
const LAST_PROBE_MS = 15_000

interface Member {
  readonly server: KmipServer
  failures: number
  /** The timer of the next probe while the server is sick. */
  probe: NodeJS.Timeout | undefined
}

type Results<Operations extends readonly KmipOperation<unknown>[]> = {
  [Index in keyof Operations]: Operations[Index] extends KmipOperation<infer Result> ? Outcome<Result> : never
}

/**
 * The servers in the operator's order. The first that is well is asked. One that cannot be reached, or that keeps silent
 * several times in a row, is sick: it is left alone, probed with growing intervals, and asked again once it answers.
 */
export class KmipCluster {
  readonly #members: readonly Member[]
  readonly #report: Report
  #closed = false

  constructor(options: KmipOptions, report: Report) {
    this.#members = options.servers.map((server) => ({
      server: new KmipServer(server, options),
      failures: 0,
      probe: undefined,
    }))
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
    for (const member of this.#members) {
      if (member.probe !== undefined) continue
      const outcomes = await this.#ask(member, operations, signal)
      if (outcomes !== undefined) return outcomes as unknown as Results<Operations>
    }
    throw this.#closed ? closed() : new AdapterError('BACKEND_UNAVAILABLE', 'no KMIP server can be reached')
  }

  /**
   * What the first well server can do. Rejects like {@link batch}; `ServerUnreachable` of the last one if none can be
   * reached.
   */
  async negotiate(): Promise<Negotiated> {
    let last: unknown = new AdapterError('BACKEND_UNAVAILABLE', 'no KMIP server can be reached')
    for (const member of this.#members) {
      try {
        return await member.server.negotiate()
      } catch (error) {
        last = error
        if (error instanceof ServerUnreachable) this.#markSick(member, error.code)
      }
    }
    throw last
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
      clearTimeout(member.probe)
      member.server.close()
    }
  }

  /** `undefined` if nothing could be sent. */
  async #ask(member: Member, operations: readonly KmipOperation<unknown>[], signal: CallSignal) {
    const start = performance.now()
    try {
      const outcomes = await member.server.call(operations, signal)
      member.failures = 0
      return outcomes
    } catch (error) {
      if (this.#closed) throw closed()
      if (error instanceof ServerUnreachable) {
        this.#markSick(member, error.code)
        return undefined
      }
      if (isServersFault(error, performance.now() - start)) {
        member.failures += 1
        if (member.failures >= FAILURES_TO_SICK) this.#markSick(member, 'NO_ANSWER')
      }
      throw error
    }
  }

  #markSick(member: Member, code: string): void {
    if (member.probe !== undefined || this.#closed) return
    member.server.forget()
    this.#report('error', 'kmip_server_unreachable', { server: member.server.address, code })
    this.#scheduleProbe(member, FIRST_PROBE_MS)
  }

  #scheduleProbe(member: Member, delay: number): void {
    // Many gateways must not come back to a restarted server at the same moment.
    member.probe = setTimeout(() => void this.#probe(member, delay), delay * (0.5 + Math.random()))
    member.probe.unref()
  }

  async #probe(member: Member, delay: number): Promise<void> {
    try {
      await member.server.negotiate()
    } catch {
      if (!this.#closed) this.#scheduleProbe(member, Math.min(2 * delay, LAST_PROBE_MS))
      return
    }
    member.failures = 0
    member.probe = undefined
    this.#report('info', 'kmip_server_back', { server: member.server.address })
  }
}

const closed = () => new AdapterError('CLOSED', 'the key manager connection is closed')

/** A caller who went away says nothing of the server; a deadline that passed does, where the server was given time. */
const isServersFault = (error: unknown, elapsedMs: number): boolean =>
  error instanceof AdapterError &&
  (error.code === 'BACKEND_UNAVAILABLE' || (error.code === 'DEADLINE_EXCEEDED' && elapsedMs >= SILENCE_MS))
