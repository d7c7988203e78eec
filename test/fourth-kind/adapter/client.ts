import { Agent, request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { AdapterError, asBuffer, OperatorError, systemCode, type CallSignal } from '../../../adapters/contract/index.ts'
import type { TransitOptions } from './options.ts'

export interface Question {
  readonly method: 'GET' | 'POST'
  /** The path below `/v1/`. */
  readonly path: string
  readonly body?: object
}

export interface Reply {
  /** A status below 500, and neither 403 nor 429. */
  readonly status: number
  /** The value under `data`; `undefined` if there is none. */
  readonly data: unknown
}

/** Kept-alive connections to one key service. */
export class TransitClient {
  readonly #options: TransitOptions
  readonly #agent: Agent
  #isClosed = false

  constructor(options: TransitOptions) {
    this.#options = options
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.connections })
  }

  get connections(): number {
    const { sockets, freeSockets } = this.#agent
    return [sockets, freeSockets].flatMap((all) => Object.values(all).flat()).length
  }

  /** Throws `CLOSED`, or the reason of a signal that has fired. */
  assertOpen(signal: CallSignal): void {
    if (this.#isClosed) throw new AdapterError('CLOSED', 'the connection to the key service is closed')
    signal.throwIfAborted()
  }

  /** Rejects with an AdapterError if there is no answer, or the answer does not concern the request. */
  async ask(question: Question, signal: CallSignal): Promise<Reply> {
    this.assertOpen(signal)
    const { status, body } = await this.#send(question, signal)
    if (status === 403)
      throw new AdapterError('OPERATION_FORBIDDEN', 'the key service does not allow it', { detail: 403 })
    if (status === 429) throw new AdapterError('BACKEND_BUSY', 'the key service has no capacity', { detail: 429 })
    if (status >= 500) {
      throw new AdapterError('BACKEND_UNAVAILABLE', `the key service failed with ${status}`, { detail: status })
    }
    return { status, data: dataIn(body) }
  }

  /** Looks the token up. Rejects unless the service can be reached, works and accepts the token. */
  async probe(signal: CallSignal): Promise<void> {
    await this.ask({ method: 'GET', path: 'auth/token/lookup-self' }, signal)
  }

  /** Ends every connection and thereby every call under way. */
  close(): void {
    this.#isClosed = true
    this.#agent.destroy()
  }

  #send({ method, path, body }: Question, signal: CallSignal): Promise<{ status: number; body: string }> {
    return new Promise((resolve, reject) => {
      const token = this.#options.token.reveal()
      const outgoing = request(new URL(`/v1/${path}`, this.#options.address), {
        agent: this.#agent,
        method,
        headers: { 'x-vault-token': asBuffer(token).toString('latin1') },
      })
      token.fill(0)
      const onAbort = () => {
        reject(signal.reason)
        outgoing.destroy()
      }
      const onError = (error: unknown) => reject(this.#failure(error))
      signal.addEventListener('abort', onAbort, { once: true })
      outgoing.once('close', () => signal.removeEventListener('abort', onAbort))
      outgoing.on('error', onError)
      outgoing.once('response', (incoming: IncomingMessage) => {
        text(incoming).then((body) => resolve({ status: incoming.statusCode ?? 0, body }), onError)
      })
      outgoing.end(body && JSON.stringify(body))
    })
  }

  #failure(error: unknown): AdapterError {
    if (this.#isClosed) return new AdapterError('CLOSED', 'the connection to the key service was closed')
    return new AdapterError('BACKEND_UNAVAILABLE', `the key service cannot be reached: ${systemCode(error)}`)
  }
}

function dataIn(body: string): unknown {
  if (body === '') return undefined
  try {
    return (JSON.parse(body) as { readonly data?: unknown }).data
  } catch {
    throw new AdapterError('BACKEND_UNAVAILABLE', 'the key service answers with something other than JSON')
  }
}

/** The operator's remedy for an AdapterError that keeps the service from being used at all. */
export function operatorError(error: unknown): unknown {
  if (!(error instanceof AdapterError)) return error
  if (error.code === 'OPERATION_FORBIDDEN') {
    return new OperatorError('TRANSIT_TOKEN_REFUSED', 'the key service refuses the token')
  }
  return new OperatorError('TRANSIT_UNREACHABLE', error.message, { transient: true })
}
