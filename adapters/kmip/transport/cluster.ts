import { abortable, AdapterError, type CallSignal, type Report } from '../../contract/index.ts'
import type { KmipOptions } from '../options.ts'
import { KmipRefusal, type KmipOperation } from '../protocol/operation.ts'
import { Member } from './member.ts'
import type { Negotiated } from './negotiation.ts'
import { closed, ServerAway, type Requests, type Results } from './requests.ts'
import { operatorError, ServerUnreachable } from './unreachable.ts'

/**
 * The servers in the operator's order. The first healthy server gets the requests. If nothing can be sent to it, the
 * next one gets them.
 */
export class KmipCluster implements Requests {
  readonly #members: readonly Member[]
  #closed = false

  constructor(options: KmipOptions, report: Report) {
    this.#members = options.servers.map((server) => new Member(server, options, report))
  }

  /** Each server by itself, in the operator's order. An object's identifier is that of one server. */
  get servers(): readonly Requests[] {
    return this.#members
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
        if (member.standing !== standing) continue
        try {
          return await work(member)
        } catch (error) {
          if (!(error instanceof ServerAway)) throw error
        }
      }
    }
    for (const member of this.#members) member.probeIfDue()
    throw this.#unusable()
  }

  /** Asks every server now, and resolves if one answers. Rejects like {@link call}. */
  async probe(signal: CallSignal): Promise<void> {
    signal.throwIfAborted()
    const asked = this.#members.filter(({ isLoginRefused }) => !isLoginRefused)
    try {
      await abortable(Promise.any(asked.map((member) => member.check(signal))), signal)
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
      try {
        return await member.negotiate()
      } catch (error) {
        errors.push(error)
      }
    }
    throw errors.find((error) => operatorError(error) !== undefined) ?? errors.at(-1)
  }

  /** Whether there is a server that was not asked, because it is sick or silent. */
  get hasUnasked(): boolean {
    return this.#members.length > 1 && this.#members.some(({ standing }) => standing !== 'well')
  }

  /** Open connections to all servers, including those that are being opened. */
  get connections(): number {
    return this.#members.reduce((sum, { connections }) => sum + connections, 0)
  }

  /** What each server supports, in the operator's order, regardless of which one is in use. */
  async survey(): Promise<readonly (readonly [address: string, Negotiated | ServerUnreachable | AdapterError])[]> {
    return Promise.all(
      this.#members.map(async (member) => {
        try {
          return [member.address, await member.survey()] as const
        } catch (error) {
          if (error instanceof ServerUnreachable || error instanceof AdapterError)
            return [member.address, error] as const
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
    for (const member of this.#members) member.close()
  }

  #unusable(): AdapterError {
    return this.#closed ? closed() : new AdapterError('BACKEND_UNAVAILABLE', 'no KMIP server can be reached')
  }
}
